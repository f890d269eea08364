"""What passes between two places: bytes and events, sockets, encryption, tokens, tensors."""
