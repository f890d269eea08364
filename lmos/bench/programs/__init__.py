"""Small integer programs as people write them, their true fronts in rational arithmetic, and what the engine says of them."""
