"""Networks of any number of layers for figures 2 and 3. The paper does not say what its own were; this is the whole model.

Layer k of L, with r, s and t drawn evenly from 0..1 by Python's `random.Random`, seeded with the seed and L:

- work: (0.005 + 0.08 r) G multiply-accumulates, 0.045 G on average: between the 0.02 of deep networks (ResNet-50 in its
  175 layers) and the 0.45 of VGG19 in its 44, so that no end of table 1's bandwidths decides for all sizes alike;
- output: 12.8 MB * 2**(-7 k / L) * (0.5 + s): from VGG's first feature map down to a hundredth of it;
- weights: 2 MB + 20 MB * t: 10 layers are sure to need less than the smallest storage of table 1 and 220 layers need some
  GB of it, so that a storage of 256 MB to 16 GB matters as the paper says;
- image: 3x224x224 float32.

Devices are those of table 1, at one multiply-accumulate a cycle and core, as the paper's X / (C S) says.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from lmos_opt.instance import Instance

SIZES = (10, 70, 120, 170, 220)
"""Section 5.2's."""
IMAGE_BYTES = 3 * 224 * 224 * 4
_LARGEST_OUTPUT_BYTES = 64 * 224 * 224 * 4


def synthetic(layers: int, seed: int, setting: Mapping[str, float]) -> Instance:
    """A chain of `layers`; `setting` has table 1's parameters in its units (Mbps, count, GHz, MB)."""
    draw = random.Random(f"{seed}/{layers}").random
    edge, server = (setting[f"{side}_cores"] * setting[f"{side}_clock"] * 1e9 for side in ("edge", "server"))
    chain = []
    for k in range(1, layers + 1):
        macs = int(1e9 * (0.005 + 0.08 * draw()))
        chain.append({
            "name": f"layer{k}", "inputs": [f"layer{k - 1}" if k > 1 else "input"],
            "t_edge_s": macs / edge, "t_server_s": macs / server,
            "output_bytes": int(_LARGEST_OUTPUT_BYTES * 2 ** (-7 * k / layers) * (0.5 + draw())),
            "weight_bytes": int(2e6 + 2e7 * draw()),
        })  # fmt: skip
    return Instance.from_dict({
        "schema": Instance.SCHEMA, "name": f"synthetic{layers}", "input_bytes": IMAGE_BYTES, "rtt_s": 0.0,
        "bandwidth_bytes_per_s": setting["bandwidth"] * 125_000, "memory_limit_bytes": int(setting["edge_storage"] * 10**6),
        "layers": chain,
    })  # fmt: skip
