"""A promised deadline on a link that varies: the plan that keeps it, one for the mean rate and a run that adapts, in one replay."""
