"""Which classes are right: said by folders, by a table, by an array, or by nobody."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from lmos_opt import InputError
from lmos_opt.plan import PlannedNetwork
from lmos_opt.tensors import InputSpec
from runner.images.labelled import find_labelled

NETWORK = PlannedNetwork(builder="a:b", weights="seeded:0", digest="sha256:" + "0" * 64, name="net", granularity="module",
                         labels=("cat", "dog", "crane", "crane"), input=InputSpec(shape=(1, 3, 8, 8), dtype="float32"))  # fmt: skip


def picture(path) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (8, 8)).save(path)


def test_folders_are_classes_by_name_or_number(tmp_path):
    for name in ("Dog/b.png", "Dog/a.png", "crane/a.png", "0/a.png"):
        picture(tmp_path / name)
    (tmp_path / "empty").mkdir()
    found = find_labelled(NETWORK, tmp_path)
    assert dict(zip(found.images.names, found.right, strict=True)) == {
        "0/a.png": {0}, "Dog/a.png": {1}, "Dog/b.png": {1}, "crane/a.png": {2, 3}}
    assert found.images.load(3).shape == (1, 3, 8, 8)
    assert "4 pictures of" in found.images.what
    picture(tmp_path / "horse/a.png")
    with pytest.raises(InputError, match="class 'horse' is none of the network's"):
        find_labelled(NETWORK, tmp_path)
    unnamed = NETWORK.model_copy(update={"labels": None})
    with pytest.raises(InputError, match="no names of classes; expected numbers, or say the names with --labels"):
        find_labelled(unnamed, tmp_path)


def test_a_table_beside_the_pictures(tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    assert find_labelled(NETWORK, tmp_path).right is None
    table = tmp_path / "labels.csv"
    table.write_text("file,class\nb.png,cat\na.png,1\n")
    assert find_labelled(NETWORK, tmp_path).right == ({1}, {0})
    for text, why in (("file,class\nb.png,cat\n", "says no class of 'a.png'"), ("name\nx\n", "has not the columns file and class"),
                      ("", "has not the columns"), ("file,class\na.png,9\nb.png,1\n", "class 9 is none of the network's 4")):
        table.write_text(text)
        with pytest.raises(InputError, match=why):
            find_labelled(NETWORK, tmp_path)


def test_an_array_beside_the_inputs(tmp_path):
    numbers, labels = np.zeros((3, 3, 8, 8), np.float32), np.array([2, 0, 1])
    for file, held in (("a.npz", {"input": numbers}), ("b.npz", {"input": numbers, "labels": labels})):
        np.savez(tmp_path / file, **held)
    assert find_labelled(NETWORK, tmp_path / "a.npz").right is None
    assert find_labelled(NETWORK, tmp_path / "b.npz").right == ({2}, {0}, {1})
    save_file({"input": torch.from_numpy(numbers), "labels": torch.from_numpy(labels)}, tmp_path / "c.safetensors")
    assert find_labelled(NETWORK, tmp_path / "c.safetensors").right == ({2}, {0}, {1})
    for wrong, why in ((labels[:2], "are 2 for 3 items"), (labels.astype(np.float32), "expected N whole numbers"),
                       (-labels, "from 0"),
                       (labels[:, None], "is 3x1 int64")):
        np.savez(tmp_path / "d.npz", input=numbers, labels=wrong)
        with pytest.raises(InputError, match=why):
            find_labelled(NETWORK, tmp_path / "d.npz")
