"""What synapses cost."""
