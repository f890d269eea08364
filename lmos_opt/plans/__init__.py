"""The parts of a plan: the keys of its files, and its predictions."""
