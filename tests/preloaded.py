"""What `tests.warm` copies: a process that has imported this, and done nothing else."""

from __future__ import annotations

import gc

gc.disable()  # nothing of it is garbage, and to look takes half the time

import pytest  # noqa: E402
import torch  # noqa: E402
import torchvision  # noqa: E402, F401

import tests.runner.running  # noqa: E402, F401
from tests.torch_once import list_operators_once  # noqa: E402

list_operators_once(pytest.MonkeyPatch())
torch.set_num_threads(1)
gc.freeze()
gc.enable()
