"""Mixed-integer linear programs as arrays: compiled from a Pyomo model, and presolved."""
