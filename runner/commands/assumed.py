"""What is taken of a user's own network without being told, said once on standard error."""

from __future__ import annotations

from lmos_opt.plan import PlannedNetwork
from runner.commands.output import err


def tell_assumed(network: PlannedNetwork) -> None:
    """Say how pictures become inputs of a network that is no torchvision model, where nobody has said it."""
    how = network.preprocessing
    if how is not None and how.origin == "assumed" and not network.builder.startswith("torchvision:"):
        err().print(f"lmos: nothing says how {network.builder} takes pictures; assumed: {how.in_words} "
                    "(network.preprocessing in the plan)", soft_wrap=True, markup=False)
