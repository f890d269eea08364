"""Meters read from folders that look as Linux shows them."""

from pathlib import Path
from types import SimpleNamespace

from measurement.calibration.power import Battery, Rapl, meter


def rapl(system: Path, energy_uj: int, most_uj: int = 1000) -> Path:
    package = system / "powercap" / "intel-rapl:0"
    for folder in (package, system / "powercap" / "intel-rapl:0:0"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "energy_uj").write_text(f"{energy_uj}\n")
        (folder / "max_energy_range_uj").write_text(f"{most_uj}\n")
    return package


def battery(system: Path, status: str, **readings: int) -> Path:
    folder = system / "power_supply" / "BAT0"
    folder.mkdir(parents=True)
    (folder / "status").write_text(f"{status}\n")
    for name, value in readings.items():
        (folder / name).write_text(f"{value}\n")
    return folder


def test_rapl_is_energy_over_time_of_packages_alone(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("measurement.calibration.power.time", SimpleNamespace(perf_counter=lambda: now[0]))

    def work():
        now[0] += 0.5
        (package / "energy_uj").write_text("3000000")

    package = rapl(tmp_path, 1_000_000, 10_000_000)
    found = meter(tmp_path)
    assert isinstance(found, Rapl)
    assert found.packages == (package,)
    assert found.average_w(work, 0.01) == 2.0 / 0.5
    assert found.average_w(work, 1.2) == 0.0
    assert now[0] == 102.0  # three more times of half a second


def test_a_counter_that_began_again_has_not_run_backwards(tmp_path):
    package = rapl(tmp_path, 900, 1000)
    watts = Rapl((package,)).average_w(lambda: (package / "energy_uj").write_text("100"), 0.01)
    assert 0 < watts <= 200e-6 / 0.01


def test_a_battery_in_use_comes_first_and_one_that_is_charged_does_not_count(tmp_path):
    rapl(tmp_path, 5)
    folder = battery(tmp_path, "Discharging", power_now=7_500_000)
    found = meter(tmp_path)
    assert isinstance(found, Battery)
    assert found.average_w(lambda: None, 0.0) == 7.5
    (folder / "status").write_text("Charging\n")
    assert isinstance(meter(tmp_path), Rapl)


def test_current_times_voltage_is_power(tmp_path):
    battery(tmp_path, "Discharging", current_now=-2_000_000, voltage_now=5_000_000)
    found = meter(tmp_path)
    assert found is not None
    assert found.average_w(lambda: None, 0.0) == 10.0


def test_where_nothing_can_be_read_there_is_no_meter(tmp_path):
    assert meter(tmp_path) is None
    battery(tmp_path, "Discharging")
    (tmp_path / "powercap" / "intel-rapl:0").mkdir(parents=True)
    assert meter(tmp_path) is None
