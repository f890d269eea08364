"""Other programs that this one starts, and what signals do meanwhile."""
