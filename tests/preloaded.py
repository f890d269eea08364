"""What `tests.warm` copies: a process that has imported this, and done nothing else."""

from __future__ import annotations

import gc

gc.disable()  # nothing of it is garbage, and to look takes half the time

import torch  # noqa: E402
import torchvision  # noqa: E402, F401

import tests.runner.running  # noqa: E402, F401

torch.set_num_threads(1)
gc.freeze()
gc.enable()
