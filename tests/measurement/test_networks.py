import sys
from urllib.error import URLError

import pytest
import torch
import torchvision
from torch import nn

from lmos_opt.errors import InputError, LmosError
from lmos_opt.sources import load_source
from measurement.networks import DownloadError, build_network, network_digest, parse_builder
from measurement.tracing import trace_network

STRUCTURE = (("a", "linear", ("input",)), ("b", "relu", ("a",)))


# Names


@pytest.mark.parametrize(
    ("text", "builder"),
    [("alexnet", "torchvision:alexnet"), ("torchvision:vgg16", "torchvision:vgg16"), ("my.nets:make", "my.nets:make"),
     ("nets:Zoo.small", "nets:Zoo.small")],
)  # fmt: skip
def test_network_arguments_become_builders(text, builder):
    assert parse_builder(text) == builder


@pytest.mark.parametrize("text", ["", "../x", "a:b:c", "a b", "pkg.mod", "pkg:", ":f", "vgg-16", "os.path:join()"])
def test_other_texts_are_refused(text):
    with pytest.raises(InputError, match="no network"):
        parse_builder(text)


def test_an_unknown_torchvision_model_suggests_near_ones():
    with pytest.raises(InputError, match="resnet18"):
        build_network("torchvision:resnet_18", "seeded:0")


# Building


def test_networks_are_in_eval_mode_and_the_same_every_time():
    a, b = (build_network("torchvision:squeezenet1_1", "seeded:0") for _ in range(2))
    other = build_network("torchvision:squeezenet1_1", "seeded:1")
    assert not a.training
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(next(a.parameters()), next(other.parameters()))


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("squeezenet1_1", "2624f4a94f84f0e4"),
        ("mobilenet_v3_small", "4daa95218defa395"),
        ("vit_b_16", "ec124cdde1e47095"),
        ("shufflenet_v2_x0_5", "63cc83f38d9c0f81"),
    ],
)
def test_seeded_weights_have_these_bits(name, digest):
    """Parameters and buffers alone, without the architecture's description, which may differ between releases."""
    assert network_digest(_Bare(build_network(f"torchvision:{name}", "seeded:0")), ())[7:23] == digest


class _Bare(nn.Module):
    """The tensors of another module under names of their own, and nothing else."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        for k, tensor in enumerate(module.state_dict().values()):
            self.register_buffer(f"t{k}", tensor)


@pytest.mark.parametrize(("name", "side"), [("googlenet", 224), ("inception_v3", 299)])
def test_networks_with_auxiliary_heads_run_in_eval(name, side, recwarn):
    module = build_network(f"torchvision:{name}", "seeded:0")
    with torch.inference_mode():
        assert module(torch.zeros(1, 3, side, side)).shape == (1, 1000)
    assert module.transform_input is False
    assert [part for part, _ in module.named_children() if part.lower().startswith("aux")] == []
    assert [w for w in recwarn if "init" in str(w.message)] == []


def test_outputs_stay_finite_and_differ_between_pictures():
    for name in ("resnet18", "mobilenet_v2"):
        module = build_network(f"torchvision:{name}", "seeded:0")
        with torch.inference_mode():
            scores = module(torch.linspace(-2, 2, 2 * 3 * 64 * 64).reshape(2, 3, 64, 64))
        assert torch.isfinite(scores).all()
        assert not torch.equal(scores[0], scores[1])


def test_bundled_weights_fit_only_their_network():
    assert build_network("torchvision:squeezenet1_1", "bundled:squeezenet1_1").training is False
    with pytest.raises(InputError, match="does not fit the network: missing"):
        build_network("torchvision:mnasnet0_5", "bundled:squeezenet1_1")


def test_a_file_gives_the_same_network_again(tmp_path):
    module = build_network("torchvision:mnasnet0_5", "seeded:3")
    torch.save(module.state_dict(), tmp_path / "w.pth")
    again = build_network("torchvision:mnasnet0_5", f"file:{tmp_path / 'w.pth'}")
    assert network_digest(again, STRUCTURE) == network_digest(module, STRUCTURE)


def test_published_weights_without_a_network_fail_clearly(monkeypatch):
    def offline(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", offline)
    with pytest.raises(DownloadError, match=r"IMAGENET1K_V1.*no route to host.*file:PATH"):
        build_network("torchvision:squeezenet1_1", "torchvision:IMAGENET1K_V1")


def test_published_weights_of_no_such_name_list_the_names():
    with pytest.raises(InputError, match="IMAGENET1K_V1"):
        build_network("torchvision:resnet18", "torchvision:IMAGENET22K")
    with pytest.raises(InputError, match="torchvision model"):
        build_network("my:net", "torchvision:DEFAULT", allow_code=True)


# Code of the user's own

USERS = """
from torch import nn
class Zoo:
    def small(): return nn.Linear(2, 2)
def make(): return nn.Sequential(nn.Linear(2, 2), nn.ReLU())
def nothing(): return 3
def needs(x): return x
def fails(): raise RuntimeError("out of luck")
def late():
    import usernet_late
    return usernet_late.net
value = 5
"""


@pytest.fixture
def usernet(tmp_path, monkeypatch):
    (tmp_path / "usernet.py").write_text(USERS)
    (tmp_path / "usernet_late.py").write_text("from torch import nn\nnet = nn.Identity()\n")
    (tmp_path / "usernet_broken.py").write_text("import no_such_library\n")
    (tmp_path / "usernet_wrong.py").write_text("def f(:\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [p for p in sys.path if p])
    yield
    for name in ("usernet", "usernet_late", "usernet_broken", "usernet_wrong"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("usernet")
def test_a_callable_in_the_current_directory_is_found_and_seeded():
    path = list(sys.path)
    a, b = (build_network("usernet:make", "seeded:4", allow_code=True) for _ in range(2))
    assert torch.equal(a[0].weight, b[0].weight)
    assert isinstance(build_network("usernet:Zoo.small", "seeded:0", allow_code=True), nn.Linear)
    assert isinstance(build_network("usernet:late", "seeded:0", allow_code=True), nn.Identity)
    assert sys.path == path


@pytest.mark.usefixtures("usernet")
@pytest.mark.parametrize(
    ("builder", "reason"),
    [
        ("usernet_absent:f", "no module 'usernet_absent'"),
        ("usernet.sub:f", "no module 'usernet.sub'|not a package"),
        ("usernet_broken:f", "cannot be imported: No module named 'no_such_library'"),
        ("usernet_wrong:f", "cannot be imported: SyntaxError"),
        ("usernet:absent", "no attribute 'absent'"),
        ("usernet:value", "type int, not a callable"),
        ("usernet:needs", "without arguments"),
        ("usernet:fails", "failed with RuntimeError: out of luck"),
        ("usernet:nothing", "type int, expected a torch.nn.Module"),
    ],
)
def test_each_way_code_can_fail_has_its_own_line(builder, reason):
    with pytest.raises(InputError, match=reason) as caught:
        build_network(builder, "seeded:0", allow_code=True)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("usernet")
def test_code_is_refused_unless_allowed():
    with pytest.raises(InputError, match="explicitly allowed"):
        build_network("usernet:make", "seeded:0")
    assert "usernet" not in sys.modules


# Digests


def test_the_digest_sees_every_bit_and_every_part_of_the_architecture():
    def net(hidden: int = 3, activation: nn.Module | None = None) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(2, hidden), activation or nn.ReLU(), nn.BatchNorm1d(hidden))

    reference = network_digest(net(), STRUCTURE)
    assert network_digest(net(), STRUCTURE) == reference
    flipped, buffered = net(), net()
    flipped[0].weight.data.view(torch.int32)[0, 0] ^= 1
    buffered[2].running_mean[1] = 1e-30
    others = [
        network_digest(flipped, STRUCTURE),
        network_digest(buffered, STRUCTURE),
        network_digest(net(4), STRUCTURE),
        network_digest(net(activation=nn.GELU()), STRUCTURE),
        network_digest(net(activation=nn.LeakyReLU(0.1)), STRUCTURE),
        network_digest(net(activation=nn.LeakyReLU(0.2)), STRUCTURE),
        network_digest(net(), STRUCTURE[:1]),
        network_digest(net(), (STRUCTURE[0], ("b", "relu", ("input",)))),
        network_digest(net().double(), STRUCTURE),
    ]
    assert len({reference, *others}) == len(others) + 1


def test_tied_weights_are_told_from_equal_ones():
    def net(tied: bool) -> nn.Module:
        a, b = nn.Linear(2, 2), nn.Linear(2, 2)
        b.load_state_dict(a.state_dict())
        if tied:
            b.weight = a.weight
        module = nn.Sequential(a, b)
        for parameter in module.parameters():
            nn.init.ones_(parameter)
        return module

    assert network_digest(net(True), ()) != network_digest(net(False), ())


def test_what_a_release_of_torch_says_of_a_bias_does_not_matter_but_the_bias_does():
    class Wordy(nn.LayerNorm):
        def extra_repr(self) -> str:
            return "(2,), eps=1e-05, elementwise_affine=True, bias=True"

    class Terse(nn.LayerNorm):
        def extra_repr(self) -> str:
            return "(2,), eps=1e-05, elementwise_affine=True"

    Wordy.__name__ = Terse.__name__ = "LayerNorm"
    assert network_digest(Wordy(2), ()) == network_digest(Terse(2), ())
    assert network_digest(nn.LayerNorm(2), ()) != network_digest(nn.LayerNorm(2, bias=False), ())


def test_the_digest_takes_every_dtype_and_layout():
    module = nn.Module()
    for name, tensor in {
        "scalar": torch.tensor(3), "empty": torch.empty(0, 4), "brief": torch.ones(2, dtype=torch.bfloat16),
        "flags": torch.tensor([True, False]), "turned": torch.arange(6.0).reshape(2, 3).t(),
    }.items():  # fmt: skip
        module.register_buffer(name, tensor)
    before = network_digest(module, ())
    module.turned = torch.arange(6.0).reshape(2, 3).t().contiguous()
    assert network_digest(module, ()) == before


def test_errors_share_the_projects_base():
    assert issubclass(DownloadError, LmosError)


@pytest.mark.slow
def test_vgg19_has_the_digest_of_its_bundled_profile():
    module = build_network("torchvision:vgg19", "seeded:0")
    traced = trace_network(module, torch.zeros(1, 3, 224, 224))
    assert network_digest(module, traced.structure) == load_source("vgg19").network.digest
