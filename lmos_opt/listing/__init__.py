"""All splits of an instance at once, in arrays: the list, their values, and which may be on a front."""
