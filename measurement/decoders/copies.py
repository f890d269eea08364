"""Modules with the same parameters and buffers as others, and flags and children of their own."""

from __future__ import annotations

from torch import nn


def eval_copy(module: nn.Module, seen: dict[int, nn.Module] | None = None) -> nn.Module:
    """The module in eval mode with the same parameters and buffers, apart from the original's flags and children."""
    seen = {} if seen is None else seen
    if id(module) not in seen:
        copy = module.__class__.__new__(module.__class__)
        seen[id(module)] = copy
        copy.__dict__.update(vars(module))
        for table in ("_parameters", "_buffers", "_modules"):
            copy.__dict__[table] = dict(vars(module)[table])
        copy.__dict__["training"] = False
        for name, child in vars(module)["_modules"].items():
            copy.__dict__["_modules"][name] = None if child is None else eval_copy(child, seen)
    return seen[id(module)]
