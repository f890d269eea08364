"""A decoder's time for each token, after a text of the instance's context: the latency of one token, over the same places."""

from __future__ import annotations

from lmos_opt.objectives import latency_of

OBJECTIVE = latency_of("tpot", lambda instance: instance.of_token)
expression = OBJECTIVE.expression
