"""Plans to results."""
