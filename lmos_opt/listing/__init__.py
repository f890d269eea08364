"""Every split of an instance at once, in arrays: which there are, what each takes, and which may be on a front."""
