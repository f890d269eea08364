"""Thousands of fronts or choices from one file: every combination of what is varied, in parts that survive an interruption."""
