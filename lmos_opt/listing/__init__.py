"""All splits of an instance in arrays: the list of them, the values of each, and which of them may be on a front."""
