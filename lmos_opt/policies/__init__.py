"""A choice over bandwidth, memory or the length of a text: the noun, its making, the exact arithmetic."""
