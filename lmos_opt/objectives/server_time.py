"""Time at the server, equation (3): what the edge's owner pays for."""

from __future__ import annotations

from lmos_opt.formulation import stages
from lmos_opt.objectives import Objective

OBJECTIVE = Objective("server_time", "s", "min", stages.t_server, lambda split: split.times.t_server_s)
