"""What a sweep varies, from its file."""

import pytest

from lmos_opt import InputError
from lmos_opt.sweeps.grids import Grid
from tests.lmos_opt.sweeps.files import toml


def test_every_value_meets_every_other(tmp_path):
    grid = Grid.load(toml(tmp_path, """
        sources = ["alexnet", "vgg13"]
        [over]
        memory_model = ["sum", "peak"]
        bandwidth = ["8Mbps", 500000]
        memory = {from = "1MB", to = "3MB", count = 3}
        edge = "rpi4"
    """))
    instances = grid.instances()
    assert [labels for labels, _ in instances] == [{"source": name, "edge": "rpi4"} for name in ("alexnet", "vgg13")]
    cases = list(grid.cases(2))
    assert [case.number for case in cases] == [*range(24)]
    assert [(case.bandwidth, case.memory) for case in cases[:6]] == [(rate, m * 10**6) for rate in (1e6, 5e5) for m in (1, 2, 3)]
    assert [case.memory_model for case in cases[:12]] == ["sum"] * 6 + ["peak"] * 6
    assert {case.instance for case in cases[12:]} == {1}
    changed = cases[4].of(instances[0][1])
    assert (changed.bandwidth_bytes_per_s, changed.memory_limit_bytes) == (5e5, 2 * 10**6)
    assert changed.layers == instances[0][1].layers


def test_steps_of_a_factor_have_exact_ends(tmp_path):
    grid = Grid.load(toml(tmp_path, """
        sources = ["alexnet"]
        [over]
        bandwidth = {from = "1Mbps", to = "100Mbps", count = 3, spacing = "log"}
        rtt = {from = 0, to = "20ms", count = 1}
    """))
    assert [case.bandwidth for case in grid.cases(1)] == pytest.approx([1.25e5, 1.25e6, 1.25e7], rel=1e-15)
    assert {case.rtt for case in grid.cases(1)} == {0.0}
    with pytest.raises(InputError, match="above 0"):
        list(Grid(sources=("a",), over={"rtt": {"from": 0, "to": 1, "count": 2, "spacing": "log"}}).cases(1))


def test_along_paths_memory_alone_is_exchanged(tmp_path):
    path = "rpi4 > 20Mbps,5ms > jetson-orin-nano-cpu > 1Gbps,1ms > i7-8700"
    grid = Grid.load(toml(tmp_path, f"""
        sources = ["alexnet"]
        [over]
        path = ["{path}"]
        memory = ["1MB"]
    """))
    (_, instance), = grid.instances()
    assert next(grid.cases(1)).of(instance).places[0].memory_limit_bytes == 10**6


@pytest.mark.parametrize(("text", "complaint"), [
    ('sources = []', "sources"),
    ('sources = ["alexnet"]\n[over]\nclock = 3', "over"),
    ('sources = ["alexnet"]\n[over]\nedge = {from = 1, to = 2, count = 2}', "over.edge: has no values between others"),
    ('sources = ["alexnet"]\n[over]\nmemory = []', "over.memory: has no values"),
    ('sources = ["alexnet"]\n[over]\npath = "a > b"\nedge = "rpi4"', "over.edge: is said by path"),
    ('sources = ["alexnet"]\n[over]\nmemory = [true]', "over.memory: expected a text or a number"),
    ('sources = ["alexnet"]\n[over]\nrtt = {from = 1, to = 2, count = 0}', "over.rtt.count: got 0, expected greater than"),
    ('sources = [', "is no TOML"),
    (f'sources = ["alexnet"]\n[over]\nmemory = {"9" * 5000}', "is no TOML that can be read: Exceeds the limit"),
    (f'sources = {"[" * 5000}', "is no TOML that can be read: maximum recursion depth"),
])  # fmt: skip
def test_a_wrong_file_is_refused_with_the_key(text, complaint, tmp_path):
    with pytest.raises(InputError) as refused:
        Grid.load(toml(tmp_path, text))
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_path_that_is_none_is_refused_by_its_key():
    with pytest.raises(InputError, match=r"^over\.path: 'rpi4' is not a path"):
        Grid(sources=("alexnet",), over={"path": ["rpi4"]}).instances()


def test_a_wrong_value_is_refused():
    for over, complaint in (({"bandwidth": ["soon"]}, "over.bandwidth: 'soon'"), ({"memory_model": ["most"]}, "memory model"),
                            ({"memory": [10**30]}, "over.memory: got 10.*expected less than"),
                            ({"bandwidth": {"from": 1, "to": 1e300, "count": 3}}, r"over.bandwidth: got 1e\+300"),
                            ({"memory": {"from": 1, "to": 2, "count": 10**6}, "rtt": [0, 1]}, "2000000 fronts")):
        with pytest.raises(InputError, match=complaint):
            next(Grid(sources=("alexnet",), over=over).cases(1))
    with pytest.raises(InputError, match=r"missing\.toml: no such file or directory"):
        Grid.load("missing.toml")


def test_a_file_may_have_a_byte_order_mark_and_has_an_end(tmp_path, monkeypatch):
    path = tmp_path / "marked.toml"
    path.write_bytes(b"\xef\xbb\xbf" + b'sources = ["alexnet"]')
    assert Grid.load(path).sources == ("alexnet",)
    monkeypatch.setattr("lmos_opt.files.LARGEST_FILE_BYTES", 8)
    with pytest.raises(InputError, match=r"marked\.toml: is larger than 8 bytes"):
        Grid.load(path)
