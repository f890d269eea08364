"""Conventions from files: one's own, timm's and transformers' configurations, labels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmos_opt import InputError
from lmos_opt.preprocessing import Preprocessing, plain_preprocessing
from lmos_opt.preprocessing.configurations import of_timm, of_transformers, read_labels, read_preprocessing
from lmos_opt.profile import TensorSpec

PICTURE = TensorSpec(shape=(1, 3, 224, 224), dtype="float32")
VIT = {"do_resize": True, "size": {"height": 224, "width": 224}, "resample": 2, "do_normalize": True,
       "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "image_processor_type": "ViTImageProcessor"}  # fmt: skip


def written(path: Path, data: object) -> str:
    path.write_text(json.dumps(data))
    return str(path)


def test_timms_configuration_is_read_as_timm_reads_it() -> None:
    config = {"input_size": (3, 224, 224), "interpolation": "bicubic", "crop_pct": 0.95, "crop_mode": "center",
              "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "classifier": "head", "url": "https://example.org"}  # fmt: skip
    found = of_timm(config, PICTURE.shape)
    assert found == Preprocessing(resize=235, crop=(224, 224), interpolation="bicubic", channels="RGB", scale=255,
                                  mean=(0.5,) * 3, std=(0.5,) * 3, origin="source")  # fmt: skip
    squashed = of_timm(config | {"crop_mode": "squash", "crop_pct": 1.0}, (1, 3, 384, 256))
    assert squashed is not None
    assert (squashed.resize, squashed.crop) == ((384, 256), (384, 256))
    assert of_timm(config | {"crop_mode": "border"}, PICTURE.shape) is None
    assert of_timm(config, (1, 16)) is None


@pytest.mark.parametrize(("changes", "resize", "crop", "channels"), [
    ({}, (224, 224), (224, 224), "RGB"),
    ({"size": 224}, (224, 224), (224, 224), "RGB"),
    ({"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}}, 256, (224, 224), "RGB"),
    ({"size": 256, "do_center_crop": True, "crop_size": 224}, 256, (224, 224), "RGB"),
    ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, 256, (224, 224), "RGB"),
    ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, (224, 224), (224, 224), "RGB"),  # as ConvNeXT's processor does
    ({"size": {"shortest_edge": 800, "longest_edge": 1333}}, (224, 224), (224, 224), "RGB"),
    ({"do_flip_channel_order": True}, (224, 224), (224, 224), "BGR"),
])  # fmt: skip
def test_transformers_configurations_are_read(changes: dict[str, object], resize: object, crop: object, channels: str) -> None:
    found = of_transformers({**VIT, **changes}, PICTURE.shape)
    assert found is not None
    assert (found.resize, found.crop, found.channels, found.interpolation) == (resize, crop, channels, "bilinear")
    assert (found.scale, found.mean, found.std, found.origin) == (255, (0.5,) * 3, (0.5,) * 3, "source")


def test_a_size_that_differs_from_the_inputs_is_scaled() -> None:
    clip = {**VIT, "size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}}
    found = of_transformers(clip, (1, 3, 112, 112))
    assert found is not None
    assert (found.resize, found.crop) == (128, (112, 112))


def test_a_configuration_that_leaves_the_mean_to_a_class_says_nothing() -> None:
    assert of_transformers({"do_resize": True, "size": 224}, PICTURE.shape) is None
    with pytest.raises(InputError, match="image_mean"):
        of_transformers({**VIT, "image_mean": "grey"}, PICTURE.shape)


def test_a_file_says_what_differs_from_the_plain_one(tmp_path: Path) -> None:
    told = read_preprocessing(written(tmp_path / "p.json", {"channels": "BGR", "scale": 1, "mean": [104, 117, 123]}), PICTURE)
    plain = plain_preprocessing(PICTURE.shape, "float32")
    assert plain is not None
    assert told == plain.model_copy(update={"channels": "BGR", "scale": 1.0, "mean": (104.0, 117.0, 123.0)})
    theirs = read_preprocessing(written(tmp_path / "t.json", VIT), PICTURE)
    assert (theirs.mean, theirs.origin) == ((0.5,) * 3, "given")


def test_imagenet_and_none_are_names() -> None:
    found = read_preprocessing("imagenet", PICTURE)
    assert (found.resize, found.mean[0], found.origin) == (256, 0.485, "given")
    none = read_preprocessing("none", TensorSpec(shape=(1, 30, 40, 3), dtype="uint8"))
    assert (none.resize, none.crop, none.layout, none.dtype, none.scale, none.shape) == ((30, 40), (30, 40), "NHWC", "uint8", 1,
                                                                                         (1, 30, 40, 3))  # fmt: skip


@pytest.mark.parametrize(("data", "message"), [
    ({"crop": [9, 9]}, "p.json: makes 1x3x9x9 float32; input is 1x3x224x224 float32"),
    ({"mean": [0.5]}, "p.json: mean: has 1 numbers; RGB has 3 channels"),
    ({"std": [1, 1, 0]}, "p.json: std: must be above 0"),
    ({"interpolation": "best"}, "p.json: interpolation: got \"best\", expected 'nearest', 'box', "),
    ({"dtype": "uint8"}, "p.json: dtype: is uint8, whose pixels stay as they are"),
    ({"size": 9}, "p.json: size: is not a key of this schema"),
    ([], "p.json: is no preprocessing; expected a JSON object"),
    ({"do_resize": True, "size": 224}, "p.json: does not say how a picture becomes 1x3x224x224 float32"),
])  # fmt: skip
def test_a_wrong_file_is_refused_in_a_line(tmp_path: Path, data: object, message: str) -> None:
    with pytest.raises(InputError) as refused:
        read_preprocessing(written(tmp_path / "p.json", data), PICTURE)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("text", "tensor", "message"), [
    ("none", TensorSpec(shape=(1, 128), dtype="int64"), "--preprocess: is for inputs that a picture gives; this one is"),
    ("imagenet", TensorSpec(shape=(1, 1, 8, 8), dtype="float32"), "--preprocess: imagenet gives 1x3xHxW floats"),
    ("nothing.json", PICTURE, "--preprocess: 'nothing.json' is neither imagenet, none nor a file"),
])  # fmt: skip
def test_what_does_not_suit_the_input_is_refused(text: str, tensor: TensorSpec, message: str) -> None:
    with pytest.raises(InputError) as refused:
        read_preprocessing(text, tensor)
    assert message in str(refused.value)


@pytest.mark.parametrize(("name", "text", "labels"), [
    ("names.txt", "cat\n dog \nä bird\n", ("cat", "dog", "ä bird")),
    ("names.json", '["cat", "dog"]', ("cat", "dog")),
    ("names.json", '{"classes": ["cat", "dog"]}', ("cat", "dog")),
    ("config.json", '{"id2label": {"1": "dog", "0": "cat"}, "hidden_size": 9}', ("cat", "dog")),
    ("numbers.json", '{"2": "dog"}', ("0", "1", "dog")),
])  # fmt: skip
def test_labels_are_lines_or_json(tmp_path: Path, name: str, text: str, labels: tuple[str, ...]) -> None:
    (tmp_path / name).write_text(text)
    assert read_labels(str(tmp_path / name)) == labels


@pytest.mark.parametrize(("name", "text", "message"), [
    ("names.txt", "cat\n\ndog\n", "line 2 is empty; expected a class's name on each line"),
    ("names.txt", "", "holds 0 labels; expected 1 to"),
    ("names.json", '[1, 2]', "holds no labels; expected a list of names, or an object"),
    ("names.json", '{"cat": "cat"}', "'cat' is no number of a class"),
    ("names.json", '{"99999999999": "cat"}', "is no number of a class; expected 0 to 1048575"),
    ("names.json", '{}', "holds 0 labels"),
])  # fmt: skip
def test_labels_that_are_none_are_refused_in_a_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as refused:
        read_labels(str(tmp_path / name))
    assert str(refused.value).startswith(str(tmp_path / name))
    assert message in str(refused.value)
    with pytest.raises(InputError, match="no such file"):
        read_labels(str(tmp_path / "none.txt"))


def test_unusual_layouts_and_types_are_written_and_others_are_not() -> None:
    plain = plain_preprocessing((1, 3, 8, 8), "float32")
    assert plain is not None
    assert not {"layout", "dtype"} & plain.model_dump().keys()
    half = plain_preprocessing((8, 9, 1), "float16")
    assert half is not None
    assert half.model_dump()["layout"] == "HWC"
    assert half.in_words == "to 8x9 pixels (bilinear), centre 8x9, L, over 255, mean 0, deviation 1, HWC, float16"
    assert Preprocessing.model_validate(half.model_dump(mode="json")) == half
