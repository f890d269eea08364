"""Make the bundled profiles again: `python -m measurement.bundle [NETWORK ...] [-o FOLDER]`.

The files come out the same byte for byte wherever this runs: seeded weights are, and nothing in a file tells the time.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from lmos_opt.data import data_dir
from lmos_opt.errors import LmosError
from lmos_opt.processes.writing import write_atomically
from lmos_opt.profile import Granularity, NetworkProfile, NetworkSource
from lmos_opt.units import counted
from measurement.networks import build_network, network_digest, parse_builder
from measurement.profiling import profile_network
from measurement.sources import example_of
from measurement.tracing import trace_network

PAPER = ("alexnet", "vgg13", "vgg16", "vgg19", "mobilenet_v2")
"""The paper's networks, bundled at granularity `paper` as NAME.json and at `module` as NAME.module.json."""
OTHERS = (
    "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3", "mnasnet0_5", "mnasnet1_0",
    "mobilenet_v3_large", "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "resnet34", "resnet50", "resnext50_32x4d",
    "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "squeezenet1_0", "squeezenet1_1", "vgg11", "vit_b_16", "efficientnet_v2_s",
    "resnet101", "swin_t", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn",
    "ssdlite320_mobilenet_v3_large",
)  # fmt: skip
"""Further networks of torchvision (classifiers, then for masks and boxes), bundled at granularity `module` as NAME.json."""
_SIDE = {"inception_v3": 299}
"""Sides of pictures (pixels), in place of the side that the network's source gives."""
_WEIGHTS = {"squeezenet1_1": "bundled:squeezenet1_1"}


def bundle_profiles(name: str) -> Iterator[tuple[str, NetworkProfile]]:
    """The files of one torchvision network, without `.json`, and the profile that belongs in each."""
    builder, weights = parse_builder(name), _WEIGHTS.get(name, "seeded:0")
    module = build_network(builder, weights)
    example = torch.zeros(1, 3, _SIDE[name], _SIDE[name]) if name in _SIDE else example_of(builder, module)
    digest = network_digest(module, trace_network(module, example).structure)
    network = NetworkSource(builder=builder, weights=weights, digest=digest)
    views: dict[str, Granularity] = {f"{name}.module": "module", name: "paper"} if name in PAPER else {name: "module"}
    for file, granularity in views.items():
        yield file, profile_network(module, example, granularity=granularity, name=name, network=network)


def profile_text(profile: NetworkProfile) -> str:
    """The profile as JSON with one line for each layer.

    It has a third of the size of the indented form, and versions can still be compared line by line.
    """
    fields = profile.to_dict()
    layers = ",\n".join(f"  {_compact(layer)}" for layer in fields["layers"])
    lines = [f" {json.dumps(key)}: " + (f"[\n{layers}\n ]" if key == "layers" else _compact(value))
             for key, value in fields.items()]  # fmt: skip
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the profiles of the named networks, or of all."""
    parser = argparse.ArgumentParser(prog="python -m measurement.bundle", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="torchvision models; all bundled ones if none")
    parser.add_argument("-o", "--output", type=Path, default=data_dir() / "profiles", metavar="FOLDER")
    options = parser.parse_args(arguments)
    for name in options.networks or (*PAPER, *OTHERS):
        try:
            for file, profile in bundle_profiles(name):
                write_atomically(options.output / f"{file}.json", profile_text(profile).encode())
                sys.stderr.write(f"{file}: {counted(len(profile.layers), 'layer')}\n")
        except LmosError as error:
            sys.exit(f"{name}: {error}")


if __name__ == "__main__":
    main()
