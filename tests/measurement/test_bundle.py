import pytest

from lmos_opt.data import bundled, bundled_names, data_dir
from lmos_opt.instance import Instance
from lmos_opt.profile import NetworkProfile
from measurement.bundle import OTHERS, PAPER, bundle_profiles, profile_text

PROFILES = bundled_names("profiles")


def profile(name: str) -> NetworkProfile:
    return NetworkProfile.load(bundled("profiles", name, "network"))


def test_what_is_bundled_is_what_the_command_makes():
    assert sorted([*PAPER, *(f"{name}.module" for name in PAPER), *OTHERS]) == PROFILES
    assert len(OTHERS) >= 10


@pytest.mark.parametrize(
    ("name", "layers"), [("alexnet", 21), ("vgg13", 32), ("vgg16", 38), ("vgg19", 44), ("mobilenet_v2", 21)]
)
def test_the_papers_networks_have_the_papers_layers(name, layers):
    paper, module = profile(name), profile(f"{name}.module")
    assert (paper.granularity, module.granularity) == ("paper", "module")
    assert len(paper.layers) == layers < len(module.layers)
    assert paper.network == module.network
    for total in ("macs", "params", "weight_bytes"):
        assert sum(getattr(x, total) for x in paper.layers) == sum(getattr(x, total) for x in module.layers)
    assert paper.layers[-1].output_shape == module.layers[-1].output_shape == (1, 1000)


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_is_whole(name):
    found = profile(name)
    assert found.name == name.removesuffix(".module")
    assert found.network is not None
    assert found.network.builder == f"torchvision:{found.name}"
    assert found.unknown_operations == ()
    assert not found.is_timed
    assert found.total_macs > 1e7
    text = (data_dir() / "profiles" / f"{name}.json").read_text(encoding="utf-8")
    assert profile_text(NetworkProfile.load(data_dir() / "profiles" / f"{name}.json")) == text
    assert len(Instance.from_profile(found).layers) == len(found.layers)


def test_made_again_both_views_are_the_same_byte_for_byte():
    made = dict(bundle_profiles("alexnet"))
    assert set(made) == {"alexnet", "alexnet.module"}
    for file, found in made.items():
        assert profile_text(found) == (data_dir() / "profiles" / f"{file}.json").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PAPER, *OTHERS])
def test_each_made_again_is_the_same_byte_for_byte(name):
    for file, found in bundle_profiles(name):
        assert profile_text(found) == (data_dir() / "profiles" / f"{file}.json").read_text(encoding="utf-8")


def test_all_are_small_enough_to_be_read_in_milliseconds():
    assert max(bundled("profiles", name, "network").stat().st_size for name in PROFILES) < 2**19


def test_the_command_writes_the_same_bytes_where_it_is_told(tmp_path, capsys):
    from measurement.bundle import main

    main(["squeezenet1_1", "-o", str(tmp_path)])
    (written,) = tmp_path.iterdir()
    assert written.name == "squeezenet1_1.json"
    assert written.read_bytes() == (data_dir() / "profiles" / written.name).read_bytes()
    assert "squeezenet1_1: 66 layers" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="no_such_net"):
        main(["no_such_net", "-o", str(tmp_path)])
