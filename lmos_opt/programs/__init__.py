"""A program as arrays: compiled from a Pyomo model, and made easier to prove things of."""
