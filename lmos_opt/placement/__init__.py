"""Placing a graph's blocks on places so that the largest load is least: exactly, by the sets that data's order leaves possible."""
