"""Scenarios, the bandwidths and times that a path may have: records, files, and how scenarios compare."""
