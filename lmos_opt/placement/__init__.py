"""Placement: how a graph is shared out over places so that the largest load is least, with a proof (docs/placement.md)."""
