"""A rule's choice over bandwidth, memory or the length of a text: the records, how they are found, the exact arithmetic."""
