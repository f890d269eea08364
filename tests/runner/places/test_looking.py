"""What a run's outputs say, in its report."""

from __future__ import annotations

import io
import json
from base64 import b64decode
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from lmos_opt.preprocessing import plain_preprocessing
from measurement.tracing.calls import ByParameter
from runner.images import Images, find_images
from runner.places.edge import run_plan
from runner.places.looking import MOST_READ, Look
from runner.watching.report import ImageResult
from tests.runner.running import SEEING, Plans, ServerProcess, network_of


@pytest.mark.process
@pytest.mark.parametrize("builder", SEEING)
def test_a_run_says_what_the_outputs_are(builder: str, server: ServerProcess, tmp_path: Path) -> None:
    name = builder.partition(":")[2]
    plan = Plans(builder, shape=(1, 3, 32, 40))(2)
    network = network_of(plan)
    how = plain_preprocessing((1, 3, 32, 40), "float32")
    told = network.model_copy(update={"preprocessing": how, "labels": ("nothing", "red", "green", "blue")})
    for colour in ("red", "blue"):
        Image.new("RGB", (80, 64), colour).save(tmp_path / f"{colour}.png")
    report = run_plan(plan.model_copy(update={"network": told}), server.address, images=tmp_path, networks=[builder], n=4,
                      save_outputs=tmp_path / "outputs", pipelined=name == "masks")  # fmt: skip
    index = json.loads((tmp_path / "outputs" / "index.json").read_text())
    assert [item["file"] for item in index["items"]] == ["blue.png", "red.png"] * 2
    for item in index["items"]:
        tensors = load_file(tmp_path / "outputs" / item["outputs"])
        assert {path: list(tensor.shape) for path, tensor in tensors.items()} == {
            path: said["shape"] for path, said in item["tensors"].items()}  # fmt: skip
    blue, red = report.per_image[:2]
    assert report.lost == 0
    assert blue.result is not None
    assert red.result is not None
    assert blue.result.task == {"seen": "tensors"}.get(name, name)
    assert blue.class_ is None
    assert [shown.file for shown in report.shown] == ["blue.png", "red.png"]
    pixels = Image.open(io.BytesIO(b64decode(report.shown[1].picture)))
    assert pixels.size == (40, 32)
    assert pixels.getpixel((20, 16))[0] > 240
    expected = {"masks": "red 100 %", "boxes": "4 boxes", "embedding": "4 numbers, norm 2.295, nearest to blue.png",
                "seen": "output.seen float32[1, 4, 32, 40]"}  # fmt: skip
    assert red.result.in_words.startswith(expected[name])
    if name == "masks":
        assert (blue.result.overlay is None, report.per_image[2].result.overlay) == (False, None)  # once a file


def result(file: str) -> ImageResult:
    return ImageResult(file=file, class_=1, class_name=None, t_edge_s=0.1, t_tx_s=0.1, t_server_s=0.1, latency_s=0.3)


def test_only_the_first_images_are_read_and_shown(plans: Plans) -> None:
    network = network_of(plans(0))
    pictures = find_images(network, None)
    names = [f"{k}.png" for k in range(MOST_READ + 5)]
    look = Look(network, pictures.preprocessing, 3)
    images = look.at(Images("many", names, lambda k: pictures.load(0), pictures.preprocessing))
    found = []
    for k in range(MOST_READ + 5):
        if k < 20:
            images.load(k)
        found.append(look(result(f"{k}.png"), {"output": torch.zeros(1, 10)}))
    assert [one.file for one in look.shown] == ["0.png", "1.png", "2.png"]
    assert sum(one.result is not None for one in found) == MOST_READ


def test_outputs_that_are_not_what_they_were_end_nothing(plans: Plans) -> None:
    network = network_of(plans(0)).model_copy(update={"task": "masks"})
    look = Look(network, find_images(network, None).preprocessing, 3)
    for odd in ({}, {"output": torch.zeros(1, 3)}, {"output.out": torch.zeros(0, 3, 2, 2)},
                {"output.out": torch.zeros(1, 0, 4, 4)}):  # fmt: skip
        one = look(result("a.png"), odd)
        assert one.result is not None
        assert one.result.task == "tensors"


def test_a_picture_in_a_list_of_pictures_is_shown_as_any_other(plans: Plans) -> None:
    network = network_of(plans(0))
    how = plain_preprocessing((3, 8, 6), "float32")
    images = Images("lists", ["a.png", "b.png"], lambda k: ByParameter(images=[torch.rand(3, 8, 6)], ids=torch.zeros(3)), how)
    look = Look(network, how, 2)
    for k, file in enumerate(images.names):
        look.at(images).load(k)
        look(result(file), {"output": torch.zeros(1, 10)})
    assert [one.file for one in look.shown] == ["a.png", "b.png"]
    assert Image.open(io.BytesIO(b64decode(look.shown[0].picture))).size == (6, 8)
