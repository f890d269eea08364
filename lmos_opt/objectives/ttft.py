"""Time to a decoder's first token: the latency of a prompt, all places and hops one after another."""

from __future__ import annotations

from lmos_opt.objectives import latency_of

OBJECTIVE = latency_of("ttft", lambda instance: instance.of_prompt)
expression = OBJECTIVE.expression
