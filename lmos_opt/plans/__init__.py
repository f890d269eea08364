"""What a plan is made of: the keys of its files, and what it predicts."""
