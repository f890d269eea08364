"""Profiles: what a layer says of itself must hold together."""

from __future__ import annotations

import copy

import pytest

from lmos_opt import InputError, NetworkProfile
from lmos_opt.profile import DTYPE_BYTES, TensorSpec, Timing
from tests.lmos_opt.documents import DIGEST, profile_data


@pytest.mark.parametrize(
    ("shape", "dtype", "n_bytes"),
    [((1, 3, 224, 224), "float32", 602112), ((), "float64", 8), ((2, 0, 5), "int64", 0), ((7,), "bool", 7),
     ((10**4, 10**4), "complex128", 16 * 10**8)],
)  # fmt: skip
def test_bytes_of_a_tensor(shape, dtype, n_bytes):
    assert TensorSpec(shape=shape, dtype=dtype).bytes == n_bytes


def test_the_bytes_of_every_element_are_numpys_where_numpy_has_it():
    np = pytest.importorskip("numpy")
    for name, n_bytes in DTYPE_BYTES.items():
        if name != "bfloat16":
            assert np.dtype(name).itemsize == n_bytes
    assert DTYPE_BYTES["bfloat16"] == 2


def test_totals_layers_and_table():
    profile = NetworkProfile.from_dict(profile_data())
    assert (profile.total_macs, profile.total_params, profile.is_timed) == (1_920_000_000, 2000, True)
    assert profile.layer("fc").kind == "linear"
    with pytest.raises(KeyError):
        profile.layer("conv")
    frame = profile.to_frame()
    assert list(frame["name"]) == ["split", "fc"]
    assert list(frame["output_bytes"]) == [768, 40]
    assert list(frame["t_local_s"]) == [1e-6, 0.25]


def wrong(**changes: object) -> dict:
    data = copy.deepcopy(profile_data())
    data["layers"][1] |= changes
    return data


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (wrong(output_bytes=44), r"layers\[1\]\.output_bytes: got 44, but the outputs have 40$"),
        (wrong(output_shape=[10]), r"layers\[1\]\.output_shape: got \[10\], but the first output has \[1, 10\]$"),
        (wrong(outputs=[]), r"layers\[1\]\.outputs: is empty$"),
        (wrong(outputs=[{"shape": [1, 10], "dtype": "float31"}]), r"layers\[1\]\.outputs\[0\]\.dtype: got \"float31\""),
        (wrong(t_local_low_s=0.3), r"layers\[1\]\.t_local_low_s: got 0\.3, but t_local_s, which it should hold, is 0\.25$"),
        (wrong(t_local_high_s=0.2), r"layers\[1\]\.t_local_high_s: got 0\.2, but t_local_s"),
        (wrong(t_local_s=None), r"layers\[1\]\.t_local_low_s: got 0\.2, but t_local_s, which it should hold, is None"),
        (wrong(inputs=["fc"]), r"layers\[1\]\.inputs\[0\]: 'fc' makes a cycle"),
        (wrong(name="input"), r"layers\[1\]\.name: 'input' is reserved"),
        (profile_data() | {"granularity": "block"}, "granularity: got \"block\", expected 'module' or 'paper'"),
        (profile_data() | {"network": {"builder": "x:y", "weights": "seeded:0", "digest": DIGEST[:-1]}}, "network.digest: "),
        (profile_data() | {"layers": []}, "layers: is empty"),
        (profile_data() | {"timing": {"exchange_s": -1}}, "timing.exchange_s: got -1, expected greater than or equal to 0"),
        (profile_data() | {"timing": {"room": float("inf")}}, "timing.room: got inf, expected a finite number"),
        (profile_data() | {"timing": {"cpu": float("inf")}}, "timing.cpu: got inf, expected a valid string"),
    ],
)  # fmt: skip
def test_a_profile_that_contradicts_itself_is_refused(data, complaint):
    with pytest.raises(InputError, match=f"^tiny.json: {complaint}"):
        NetworkProfile.from_dict(data, "tiny.json")


def test_what_was_not_measured_is_no_key_of_the_file():
    layers = NetworkProfile.from_dict(profile_data()).to_dict()["layers"]
    measured = {"t_local_low_s", "t_local_high_s", "peak_local_bytes"}
    assert measured.isdisjoint(layers[0])
    assert measured < layers[1].keys()


def test_a_layer_wrong_twice_is_told_twice():
    with pytest.raises(InputError) as caught:
        NetworkProfile.from_dict(wrong(output_bytes=44, output_shape=[10]))
    assert [problem.path for problem in caught.value.problems] == ["layers[1].output_bytes", "layers[1].output_shape"]


def test_a_busy_machines_times_are_doubted_and_a_quiet_ones_are_not():
    sure = {"ended": "precision", "precision": 0.05, "budget_s": 10.0, "widest": 0.03}
    assert Timing(**sure, others=0.02).doubts == ()
    assert Timing(**sure, others=0.4).doubts == ("other programs had 40% of the processors meanwhile",)
    unsure = Timing(**{**sure, "ended": "budget", "widest": 850.0}, others=0.4).doubts
    assert unsure[0] == ("the precision of 5% was not reached within 10.000 s: "
                         "the widest confidence interval is 85000% of its median")  # fmt: skip
    assert len(unsure) == 2
    assert Timing(ended="budget", precision=0.05).doubts == ("the precision of 5% was not reached",)
    assert Timing().doubts == ()
