"""Faults that a run must survive: killed and frozen servers, bad links, hostile bytes, long runs. Each part counts failures."""
