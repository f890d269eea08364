"""The page of regions: where the device alone is fastest, where sending the input is, and where a cut inside the network."""
