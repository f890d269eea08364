"""What the paper's experiments share."""
