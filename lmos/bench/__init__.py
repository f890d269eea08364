"""Benchmarks: what `lmos bench` measures on this machine.

`lmos bench solvers`: `cases.py` are the instances, `solvers/` the contestants (one file each), `contest.py` runs them
interleaved, `results.py` sums up and writes, `plots.py` draws.
"""
