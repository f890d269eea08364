"""A network in parts: split, each part with its own weights alone, and as programs for others."""
