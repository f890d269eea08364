"""The integer program of the split in Pyomo: one file a block of constraints."""
