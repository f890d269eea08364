"""timm's architectures by their names there; its published weights are taken from files only."""

from __future__ import annotations

import difflib
from importlib.util import find_spec
from typing import Any, ClassVar

from torch import nn

from lmos_opt.errors import THEIR_ERRORS, InputError, first_line
from lmos_opt.preprocessing import Conventions, Labels
from lmos_opt.preprocessing.configurations import of_timm
from lmos_opt.profile import TensorSpec
from measurement.sources import Example, Source, numbers

IMAGENET = 1000
"""Classes of its challenge of 2012."""


class Timm(Source):
    """Networks of timm. A name with a tag (`resnet50.a1_in1k`) uses the configuration of these weights. Nothing is downloaded."""

    needs: ClassVar[tuple[str, ...]] = ("timm",)
    extra: ClassVar[str] = "timm"

    def check(self, name: str) -> None:
        """InputError names the architectures that it could be."""
        super().check(name)
        import timm

        plain = name.partition(".")[0]
        if not timm.is_model(plain):  # what looks like a repository's name is none of these, and never fetched
            near = difflib.get_close_matches(plain, timm.list_models(), n=3) or ["resnet50", "mobilenetv3_small_100"]
            raise InputError(f"timm:{name}", f"is no architecture of timm; there are e.g. {', '.join(near)}")

    def build(self, name: str) -> nn.Module:
        """The architecture with initial weights. InputError as `check`, and for an unknown tag."""
        import timm

        self.check(name)
        try:
            module: nn.Module = timm.create_model(name, pretrained=False)
        except THEIR_ERRORS as error:  # of an unknown tag, or a package that one architecture needs
            raise InputError(f"timm:{name}", f"cannot be built: {first_line(error)}") from error
        return module

    def example(self, name: str, module: nn.Module) -> Example:
        """A picture of the size that its configuration names."""
        del name
        return numbers(1, *_configuration(module).get("input_size", (3, 224, 224)))

    def conventions(self, name: str, tensor: TensorSpec) -> Conventions:
        """The conventions in the configuration of the architecture, or of the tag; empty if timm is not installed."""
        if find_spec("timm") is None:
            return Conventions()
        import timm

        found = timm.get_pretrained_cfg(name)
        configuration = {} if found is None else found.to_dict()
        labels: Labels | None = "imagenet" if configuration.get("num_classes") == IMAGENET else None
        return Conventions(preprocessing=of_timm(configuration, tensor.shape, tensor.dtype), labels=labels)


SOURCE = Timm()


def _configuration(module: nn.Module) -> dict[str, Any]:
    found = getattr(module, "pretrained_cfg", None)
    return dict(found) if isinstance(found, dict) else {}
