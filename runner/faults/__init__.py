"""What is done about faults: limits, refusals, and finishing an image alone."""
