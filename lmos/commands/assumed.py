"""What is taken of a user's own network without being told, said once on standard error."""

from __future__ import annotations

import logging

from lmos.output import err
from lmos_opt.plan import PlannedNetwork


def tell_assumed(network: PlannedNetwork, logged: bool = False) -> None:
    """Say how pictures become inputs of a network that is no torchvision model, where nobody has said it; `logged`, as a warning in
    the log."""
    how = network.preprocessing
    if how is None or how.origin != "assumed" or network.builder.startswith("torchvision:"):
        return
    text = f"nothing says how {network.builder} takes pictures; assumed: {how.in_words} (network.preprocessing in the plan)"
    if logged:
        logging.getLogger("lmos.edge").warning("%s", text)
    else:
        err().print(f"lmos: {text}", soft_wrap=True, markup=False)
