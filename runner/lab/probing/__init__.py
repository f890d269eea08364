"""Measuring a link through the runner's own protocol: exchanges of several sizes, and a line through their times."""
