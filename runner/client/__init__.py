"""The asking side of a connection: one exchange, again after a fault, several under way."""
