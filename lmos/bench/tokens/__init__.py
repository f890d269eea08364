"""Decoders over several processes of this machine: their texts, through faults, their promised times and memory, their cuts."""
