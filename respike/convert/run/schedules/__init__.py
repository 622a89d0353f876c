"""When each layer sees which spikes: one schedule a file, and which one a name means."""
