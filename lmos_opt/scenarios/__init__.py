"""What a path may be like: its records and files, and how scenarios compare."""
