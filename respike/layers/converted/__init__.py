"""What a converted network is made of, as layers: neurons in the place of ReLUs, maxima and means over time."""
