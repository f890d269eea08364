"""What chooses a split: rules on a front, the baselines of others, the least latency as a minimum cut."""
