"""From a NIR file to a spiking network."""
