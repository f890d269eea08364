"""What networks' sources say of them, and pictures through it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from lmos_opt.preprocessing import Conventions, plain_preprocessing
from lmos_opt.preprocessing.configurations import of_timm, of_transformers
from lmos_opt.profile import TensorSpec
from measurement.networks.conventions import conventions_of
from measurement.networks.labels import imagenet_classes, names_of
from measurement.networks.preprocessing import pixels_of, preparing

PICTURE = TensorSpec(shape=(1, 3, 224, 224), dtype="float32")


def picture(wide: int = 300, high: int = 260) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (high, wide, 3), np.uint8))


def test_torchvisions_tasks_and_classes_are_known() -> None:
    assert conventions_of("torchvision:resnet18", "seeded:0", PICTURE) == Conventions()
    assert conventions_of("torchvision:resnet18", "bundled:x", PICTURE) == Conventions(labels="imagenet")
    found = conventions_of("torchvision:resnet50", "torchvision:IMAGENET1K_V2", PICTURE)
    assert found.labels == "imagenet"
    assert found.preprocessing is not None
    assert found.preprocessing.resize == 232
    masks = conventions_of("torchvision:lraspp_mobilenet_v3_large", "torchvision:COCO_WITH_VOC_LABELS_V1", PICTURE)
    assert masks.task == "masks"
    assert masks.labels is not None
    assert names_of(masks.labels)[8] == "cat"


def test_detectors_normalise_their_pictures_themselves() -> None:
    found = conventions_of("torchvision:ssdlite320_mobilenet_v3_large", "seeded:0", PICTURE)
    assert found.task == "boxes"
    assert found.preprocessing is not None
    assert (found.preprocessing.resize, found.preprocessing.mean, found.preprocessing.origin) == ((224, 224), (0.0,) * 3, "weights")


def test_an_unknown_entry_or_model_says_nothing_and_a_users_code_is_not_asked() -> None:
    assert conventions_of("torchvision:resnet18", "torchvision:NO_SUCH", PICTURE) == Conventions(labels="imagenet")
    assert conventions_of("torchvision:no_such", "seeded:0", PICTURE) == Conventions()
    assert conventions_of("somebody:net", "seeded:0", PICTURE) == Conventions()


def test_labels_stand_for_names() -> None:
    assert names_of(None) == ()
    assert names_of("imagenet") == imagenet_classes()
    assert names_of(("a", "b")) == ("a", "b")


@pytest.mark.parametrize(("shape", "dtype"), [((1, 3, 40, 50), "float32"), ((40, 50, 3), "float16"), ((1, 40, 50, 3), "uint8"),
                                              ((3, 40, 50), "float64"), ((1, 1, 40, 50), "bfloat16")])  # fmt: skip
def test_pictures_become_inputs_of_every_layout_and_type_and_pictures_again(shape: tuple[int, ...], dtype: str) -> None:
    how = plain_preprocessing(shape, dtype)
    assert how is not None
    made = preparing(how)(picture())
    assert (tuple(made.shape), made.dtype) == (shape, getattr(torch, dtype))
    assert made.is_contiguous()
    expected = np.array(picture().convert("L" if 1 in shape[-3:] else "RGB").resize((50, 40), Image.Resampling.BILINEAR))
    pixels = pixels_of(made, how)
    tolerance = 1 if dtype == "bfloat16" else 0
    assert np.abs(pixels.permute(1, 2, 0).numpy().squeeze().astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("config", [{"crop_pct": 0.9, "interpolation": "bicubic"}, {"crop_pct": 1.0, "crop_mode": "squash"}])
def test_pictures_become_what_timm_makes_of_them(config: dict[str, object]) -> None:
    data = pytest.importorskip("timm.data")
    size = (3, 224, 192 if "crop_mode" in config else 224)
    resolved = data.resolve_data_config({}, pretrained_cfg={"input_size": size, **config})
    how = of_timm(resolved, (1, *size))
    assert how is not None
    expected = data.create_transform(**resolved)(picture())
    assert torch.allclose(preparing(how)(picture())[0], expected, atol=1e-5)


@pytest.mark.parametrize(("kind", "options"), [
    ("ViTImageProcessor", {"size": {"height": 64, "width": 48}}),
    ("CLIPImageProcessor", {"size": {"shortest_edge": 80}, "crop_size": {"height": 64, "width": 64}}),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 64}, "crop_pct": 0.875}),
])  # fmt: skip
def test_pictures_become_what_transformers_makes_of_them(kind: str, options: dict[str, object]) -> None:
    transformers = pytest.importorskip("transformers")
    processor = getattr(transformers, f"{kind}Pil", getattr(transformers, kind))(**options)
    expected = torch.tensor(np.asarray(processor(picture())["pixel_values"]))
    how = of_transformers(json.loads(processor.to_json_string()), expected.shape)
    assert how is not None
    assert (preparing(how)(picture()) - expected).abs().max() < 0.05  # one step of 8 bits
