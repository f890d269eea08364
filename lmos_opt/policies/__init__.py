"""A choice over bandwidth or memory: the noun, its making, the exact arithmetic."""
