"""Pictures to arrays: the numbers that torch's own operations give, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from lmos_opt.preprocessing import Preprocessing, imagenet_preprocessing, plain_preprocessing, usual_preprocessing
from measurement.networks.preprocessing import Normalisation, preparing
from measurement.pictures.cropping import cropped
from measurement.pictures.values import values_of

WAYS = {
    "imagenet": imagenet_preprocessing(224, 224),
    "caffe": usual_preprocessing("bundled:squeezenet1_1", 3, 224, 224),
    "grey": usual_preprocessing("seeded:0", 1, 28, 30),
    "plain NHWC": plain_preprocessing((1, 96, 64, 3), "float32"),
    "pixels": plain_preprocessing((3, 40, 50), "uint8"),
    "half": imagenet_preprocessing(64, 64, "float16"),
}


@pytest.mark.parametrize("way", WAYS)
def test_arrays_are_what_torch_makes_of_the_pixels_bit_for_bit(way: str) -> None:
    how = WAYS[way]
    assert isinstance(how, Preprocessing)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (251, 307, 3), np.uint8))
    pixels = torch.from_numpy(np.array(cropped(picture.convert("L" if how.channels == "L" else "RGB"), how)))
    values = Normalisation.of(how)(pixels.reshape(*how.crop, -1).permute(2, 0, 1))
    expected = (values if how.layout in {"NCHW", "CHW"} else values.permute(1, 2, 0)).reshape(how.shape)
    assert torch.equal(torch.from_numpy(values_of(picture, how)), expected)
    assert torch.equal(preparing(how)(picture), expected.to(getattr(torch, how.dtype)))
    assert preparing(how)(picture).is_contiguous()
