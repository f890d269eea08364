"""A link that changes in steps: a run that adapts beside every cut that it may change between, on the same link in turns."""
