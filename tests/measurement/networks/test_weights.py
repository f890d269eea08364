import hashlib

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from lmos_opt.data import data_dir
from lmos_opt.errors import InputError
from measurement.networks import build_network
from measurement.networks.labels import imagenet_classes
from measurement.networks.preprocessing import preprocessing_for
from measurement.networks.seeding import Fill, seeded_fills
from measurement.networks.weights import bundled_weights, load_weights, read_state_dict, seed_of

SQUEEZENET = ("torchvision:squeezenet1_1", "bundled:squeezenet1_1")


def filled(size: int, low: float, high: float, seed: int = 0, stream: int = 0) -> np.ndarray:
    values = np.empty(size, np.float32)
    Fill(low, high, seed, stream).into(values)
    return values


def bits(values) -> list[str]:
    return [f"{word:08x}" for word in np.asarray(values, dtype="<f4").view("<u4")]


# Seeded fills: literal bits, so that any machine, numpy or torch that gives others fails here.

UNIFORM_BITS = ["beca8224", "bde9ba50", "3c33aacb", "3f21f6f1"]
SHIFTED_BITS = ["3f7ac2f4", "3ef6f304", "3f530524", "3f0f9a82"]
LONG_DIGEST = "01e2e2a8bcb4854b77fba71e7667a0dff9657f5aaea169b26e4928c27be79cc9"
LINEAR_BITS = ["be8f31ee", "bda5453f", "3bfe1675", "3ee50d74"]
FILL_BITS = [["3ecf4656", "3f3849e2"], ["bbf423a0", "3cced657"], ["3f1b2547", "bf99dfaa"], ["3f13fa73", "3f4325a4"]]


def test_uniform_fills_have_these_bits():
    assert bits(filled(4, -1, 1)) == UNIFORM_BITS
    assert bits(filled(4, 0, 1, seed=7, stream=3)) == SHIFTED_BITS


def test_a_fill_over_many_chunks_has_this_digest():
    assert hashlib.sha256(filled(300_001, -0.05, 0.05).astype("<f4").tobytes()).hexdigest() == LONG_DIGEST


def test_torchs_fills_have_these_bits():
    with seeded_fills(0):
        layer = nn.Linear(2, 2)
        normal = torch.empty(2).normal_(1.0, 0.5)
        truncated = nn.init.trunc_normal_(torch.empty(2), std=0.02)
        made = torch.randn(2)
        parameter = nn.Parameter(torch.empty(2))
        parameter.data.uniform_()
    assert bits(layer.weight.detach().flatten()) == LINEAR_BITS
    assert [bits(t.detach()) for t in (normal, truncated, made, parameter)] == FILL_BITS


def test_a_fill_is_reproduced_by_exact_arithmetic():
    words = np.random.PCG64(np.random.SeedSequence(5, spawn_key=(2,))).random_raw(3)
    halves = [half - (half >> 31 << 32) for word in words.tolist() for half in (word & 0xFFFFFFFF, word >> 32)]
    scale = np.float32(0.25 * 2.0**-31)
    expected = [np.float32(half) * scale for half in halves[:5]]
    assert filled(5, -0.25, 0.25, seed=5, stream=2).tolist() == expected


def test_fills_have_the_mean_and_spread_asked_for():
    with seeded_fills(1):
        normal = torch.empty(200_000).normal_(3.0, 0.5)
        uniform = torch.empty(200_000).uniform_(2.0, 6.0)
    assert normal.mean().item() == pytest.approx(3.0, abs=0.01)
    assert normal.std().item() == pytest.approx(0.5, rel=0.01)
    assert uniform.mean().item() == pytest.approx(4.0, abs=0.02)
    assert (uniform.min().item(), uniform.max().item()) == pytest.approx((2.0, 6.0), abs=1e-3)


def test_a_truncated_normal_stays_within_its_bounds():
    with seeded_fills(0):
        values = nn.init.trunc_normal_(torch.empty(10_000), std=1.0, a=-0.5, b=0.25)
    assert -0.5 <= values.min().item() < -0.49
    assert 0.24 < values.max().item() <= 0.25


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_dtypes_and_layouts_get_the_same_draws(dtype):
    with seeded_fills(3):
        plain = torch.empty(3, 4).uniform_(-1, 1)
    with seeded_fills(3):
        turned = torch.empty(4, 3, dtype=dtype).t().uniform_(-1, 1)
    assert torch.equal(turned, plain.to(dtype))


def test_each_fill_has_its_own_stream_and_constants_stay():
    with seeded_fills(0):
        first, second = torch.rand(100), torch.rand(100)
        norm = nn.BatchNorm2d(4)
    assert not torch.equal(first, second)
    assert torch.equal(norm.weight, torch.ones(4))


def test_torchs_own_generator_and_init_are_left_alone():
    torch.manual_seed(11)
    expected = nn.init.trunc_normal_(torch.empty(5))
    torch.manual_seed(11)
    with seeded_fills(0):
        torch.rand(3), torch.randperm(3), nn.init.trunc_normal_(torch.empty(5))
    assert torch.equal(nn.init.trunc_normal_(torch.empty(5)), expected)


def test_a_failure_inside_leaves_torch_as_it_was():
    before = torch.nn.init._no_grad_trunc_normal_
    with pytest.raises(ZeroDivisionError), seeded_fills(0):
        raise ZeroDivisionError
    assert torch.nn.init._no_grad_trunc_normal_ is before
    with seeded_fills(0):
        again = torch.rand(2)
    with seeded_fills(0):
        assert torch.equal(torch.rand(2), again)


# Files


def test_a_state_dict_comes_back_from_both_formats(tmp_path):
    state = nn.Linear(3, 2).state_dict()
    torch.save(state, tmp_path / "linear.pt")
    save_file(state, tmp_path / "linear.safetensors")
    for file in ("linear.pt", "linear.safetensors"):
        module = nn.Linear(3, 2)
        load_weights(module, f"file:{tmp_path / file}")
        assert torch.equal(module.weight, state["weight"])


def test_everything_that_does_not_fit_is_named_in_one_line(tmp_path):
    torch.save({"weight": torch.zeros(2, 4), "extra": torch.zeros(1)}, tmp_path / "other.pt")
    module = nn.Linear(3, 2)
    before = module.weight.clone()
    with pytest.raises(InputError) as caught:
        load_weights(module, f"file:{tmp_path / 'other.pt'}")
    assert str(caught.value).endswith("does not fit the network: missing bias; unexpected extra; "
                                      "of another shape weight (file 2x4, network 2x3)")
    assert torch.equal(module.weight, before)


def test_many_keys_are_counted_not_listed(tmp_path):
    torch.save(build_network("torchvision:squeezenet1_0", "seeded:0").state_dict(), tmp_path / "s.pt")
    with pytest.raises(InputError, match="and 49 more") as caught:
        load_weights(nn.Linear(1, 1), f"file:{tmp_path / 's.pt'}")
    assert "\n" not in str(caught.value)


class Bomb:
    """Pickles to a call that would raise."""

    def __reduce__(self):
        return exec, ("raise SystemExit('ran')",)


def test_no_code_in_a_file_runs(tmp_path):
    torch.save({"weight": Bomb()}, tmp_path / "bomb.pt")
    with pytest.raises(InputError, match="not a readable state dict"):
        read_state_dict(f"file:{tmp_path / 'bomb.pt'}")


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("x.safetensors", b"garbage", "not a readable"),
        ("x.safetensors", b"", "not a readable"),
        ("x.pt", b"garbage", "not a readable"),
        ("x.pt", b"", "not a readable"),
        ("missing/x.pt", None, "no such file"),
    ],
)
def test_unreadable_files_are_refused(tmp_path, file, content, reason):
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        read_state_dict(f"file:{tmp_path / file}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("held", [[torch.zeros(1)], {"epoch": 3, "model": {}}])
def test_what_is_no_state_dict_is_refused(tmp_path, held):
    torch.save(held, tmp_path / "x.pt")
    with pytest.raises(InputError, match="expected a state dict"):
        read_state_dict(f"file:{tmp_path / 'x.pt'}")


@pytest.mark.parametrize("name", ["seeded", "seeded:", "random:3", "seeded:-1", "seeded:1.5", "seeded:\u0663",
                                  "seeded:9223372036854775808", "seeded:" + "9" * 30])  # fmt: skip
def test_bad_names_of_weights_are_refused(name):
    with pytest.raises(InputError):
        seed_of(name)


def test_unknown_bundled_weights_list_the_known():
    with pytest.raises(InputError, match="bundled are squeezenet1_1"):
        read_state_dict("bundled:resnet")


# The bundled network and pictures


def test_the_bundled_weights_are_the_documented_file():
    assert bundled_weights() == ["squeezenet1_1"]
    folder = data_dir() / "weights"
    digest = hashlib.sha256((folder / "squeezenet1_1.safetensors").read_bytes()).hexdigest()
    assert digest in (folder / "README.md").read_text()


@pytest.mark.parametrize(("picture", "classes"), [("chelsea.png", {281, 282, 285}), ("coffee.png", {967})])
def test_squeezenet_knows_the_cat_and_the_coffee(picture, classes):
    prepare = preprocessing_for(*SQUEEZENET, (1, 3, 224, 224))
    with Image.open(data_dir() / "pictures" / picture) as image, torch.inference_mode():
        scores = build_network(*SQUEEZENET)(prepare(image))
    assert scores.argmax().item() in classes


def test_every_picture_is_documented_and_can_be_prepared():
    folder = data_dir() / "pictures"
    prepare = preprocessing_for(*SQUEEZENET, (1, 3, 224, 224))
    pictures = sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg"))
    assert len(pictures) >= 5
    for path in pictures:
        assert f"`{path.name}`" in (folder / "README.md").read_text()
        with Image.open(path) as image:
            assert prepare(image).shape == (1, 3, 224, 224)


def test_class_names_are_torchvisions():
    from torchvision.models import AlexNet_Weights

    assert list(imagenet_classes()) == AlexNet_Weights.IMAGENET1K_V1.meta["categories"]
    assert imagenet_classes()[281] == "tabby"


def test_the_general_preprocessing_is_torchvisions():
    from torchvision.transforms._presets import ImageClassification

    for picture in ("chelsea.png", "rocket.jpg"):
        with Image.open(data_dir() / "pictures" / picture) as image:
            for crop, resized in ((224, 256), (299, 342)):
                ours = preprocessing_for("torchvision:resnet18", "seeded:0", (3, crop, crop))(image)
                theirs = ImageClassification(crop_size=crop, resize_size=resized)(image).unsqueeze(0)
                assert torch.allclose(ours, theirs, atol=1e-6)


def test_published_weights_bring_their_own_preprocessing():
    from torchvision.models import ResNet50_Weights

    with Image.open(data_dir() / "pictures" / "chelsea.png") as image:
        ours = preprocessing_for("torchvision:resnet50", "torchvision:IMAGENET1K_V2", (1, 3, 224, 224))(image)
        assert torch.equal(ours, ResNet50_Weights.IMAGENET1K_V2.transforms()(image).unsqueeze(0))


def test_caffes_order_is_blue_green_red():
    red = Image.new("RGB", (300, 300), (255, 0, 0))
    tensor = preprocessing_for(*SQUEEZENET, (1, 3, 224, 224))(red)
    assert tensor[0, :, 5, 5].tolist() == pytest.approx([-104.006, -116.669, 255 - 122.679], abs=1e-4)


def test_odd_shapes_are_filled_or_refused():
    picture = Image.new("L", (64, 40), 255)
    assert preprocessing_for("pkg:net", "seeded:0", (1, 1, 28, 28))(picture).unique().tolist() == [1.0]
    assert preprocessing_for("pkg:net", "seeded:0", (3, 48, 96))(picture).shape == (1, 3, 48, 96)
    with pytest.raises(InputError, match="1x5x8x8"):
        preprocessing_for("pkg:net", "seeded:0", (1, 5, 8, 8))
