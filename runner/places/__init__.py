"""What a place does: the edge, which begins, and the server, which answers."""
