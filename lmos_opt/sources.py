"""From a user's name for a source (a bundled network, a profile file, an instance file) to an instance."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lmos_opt.codec_sizes import RAW
from lmos_opt.data import bundled
from lmos_opt.device import LOCAL, TimesLayers, load_device, needs_local_times_of, parse_power
from lmos_opt.encoding import ChoosesCodecs
from lmos_opt.errors import InputError
from lmos_opt.files import other_schema, read_json
from lmos_opt.instance import Instance
from lmos_opt.link import load_link
from lmos_opt.paths import HopOptions, Path, load_place, parse_path
from lmos_opt.places import InstanceLayer, memory_limits
from lmos_opt.profile import NetworkProfile
from lmos_opt.scenarios.records import ScenariosFile
from lmos_opt.units import codec_words, parse_delay, parse_rate

EDGE, SERVER, BANDWIDTH = "rpi4", "paper-server", "10Mbps"
"""The paper's setting, which is the default."""


@dataclass(frozen=True)
class Options:
    """The options that a user gave; None stands for the paper's setting, or for an instance file's own."""

    edge: str | None = None
    server: str | None = None
    bandwidth: str | None = None
    rtt: str | None = None
    memory: str | None = None
    link: str | None = None
    """A bundled link or a link file: its bandwidth and rtt are used if no others are given; an unknown rtt is 0."""
    back: str | None = None
    """The rate of the results' way back; None: an instance file's own, otherwise it is free."""
    path: str | None = None
    """Devices and hops instead of all of these except `memory`: `DEVICE > RATE,RTT > DEVICE ...`."""
    power: str | None = None
    """The powers of the first place, `COMPUTE,TRANSMIT,IDLE` in watts, instead of its device's powers."""
    scenarios: str | None = None
    """A file of scenarios (`lmos.scenarios/1`), instead of an instance file's own. If it names the rates that its factors belong
    to, these rates and its rtt are used if no others are given."""

    @property
    def rate(self) -> str | float | None:
        """The bandwidth: the one asked for, otherwise the link's, otherwise the scenarios'."""
        if self.bandwidth is not None:
            return self.bandwidth
        if self.link is not None:
            return load_link(self.link).bandwidth_bytes_per_s
        return next(iter(self._measured.bandwidth_bytes_per_s), None) if self._measured else None

    @property
    def exchange(self) -> str | float | None:
        """The fixed cost of an exchange: the one asked for, otherwise the link's, otherwise the scenarios'."""
        if self.rtt is not None:
            return self.rtt
        if self.link is not None:
            return load_link(self.link).rtt_s or 0.0
        return next(iter(self._measured.rtt_s), None) if self._measured else None

    @cached_property
    def _measured(self) -> ScenariosFile | None:
        return None if self.scenarios is None else ScenariosFile.load(self.scenarios)

    @property
    def of_two(self) -> list[str]:
        """The options given that spell a path of two places."""
        return [f"--{name}" for name in ("edge", "server", "bandwidth", "rtt", "link", "back") if getattr(self, name) is not None]

    @property
    def along(self) -> Path:
        """The path of the options; without `--path`, from the edge to the server. InputError if both spellings are given."""
        if self.path is None:
            devices = (EDGE if self.edge is None else self.edge, SERVER if self.server is None else self.server)
            return Path(devices, (HopOptions(BANDWIDTH if self.rate is None else self.rate, self.exchange, self.back),))
        if self.of_two:
            raise InputError("--path", f"says devices and hops; leave out {', '.join(self.of_two)}")
        return parse_path(self.path, "--path")

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices in the order of the data, by name; with two places those of edge and server."""
        return tuple(map(str, self.along.devices))


def load_source(source: str | os.PathLike[str]) -> Instance | NetworkProfile:
    """The profile of a bundled network, or the content of a profile file or an instance file, by the file's schema.

    InputError, with the paths of wrong keys, for any other file, and for a name that is neither a file nor a bundled network.
    """
    path = pathlib.Path(source)
    if path.suffix != ".json" and (not path.exists() or path.is_dir()):
        return NetworkProfile.load(bundled("profiles", str(source), "network"))
    data = read_json(path)
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema in Instance.SCHEMAS:
        return Instance.from_dict(data, str(path))
    if schema == NetworkProfile.SCHEMA:
        return NetworkProfile.from_dict(data, str(path))
    schemas = (*Instance.SCHEMAS, NetworkProfile.SCHEMA)
    if not isinstance(data, dict):
        raise InputError(str(path), f"expected a JSON object with schema {' or '.join(map(repr, schemas))}")
    raise InputError(str(path), [other_schema(data, schemas)])


def instance_of(source: Instance | NetworkProfile, options: Options, codec: ChoosesCodecs | None = None,
                among: Sequence[ChoosesCodecs] | None = None) -> Instance:  # fmt: skip
    """The instance of a source under the options; an instance file's own numbers are used if no option is given.

    `codec` encodes the crossing tensors; or the search chooses one of the codecs `among` for each tensor. InputError for a codec if
    an instance file has no numbers for it.
    """
    found = _without_power(source, options, codec, among)
    if options.power is not None:
        found = found.with_place(1, power=parse_power(options.power, "--power").model_dump())
    if options.scenarios is not None:
        scenarios = ScenariosFile.load(options.scenarios).at(found.hops, options.scenarios)
        found = found.replace(scenarios=[one.model_dump() for one in scenarios])
    return found


def _without_power(source: Instance | NetworkProfile, options: Options, codec: ChoosesCodecs | None,
                   among: Sequence[ChoosesCodecs] | None) -> Instance:  # fmt: skip
    if isinstance(source, NetworkProfile):
        return Instance.from_profile(source, path=options.along, memory=options.memory, codec=codec, among=among)
    if options.path is not None:
        raise InputError("--path", f"is for networks and profiles; the instance file of {source.name} has its own places")
    if len(source.places) > 2 and options.of_two:
        raise InputError(options.of_two[0], f"is of two places; the instance file of {source.name} has {len(source.places)}, with "
                                            "times and hops of its own")
    changes: dict[str, Any] = {}
    has = (source.coding.codec, source.coding.codecs) if source.coding else (RAW, {})
    if codec is not None and (codec.name, dict(codec.own)) != has:
        if codec.name != RAW or codec.own:
            what = codec_words(codec.name, codec.own)
            raise InputError("--codec", f"an instance file has no shapes of tensors, so the bytes of {what} are not known; it may "
                                        "say them under the key 'coding'")  # fmt: skip
        changes["coding"] = None
    is_of_two = len(source.places) == 2
    if options.rate is not None and is_of_two:
        changes["bandwidth_bytes_per_s"] = parse_rate(options.rate, "bandwidth")
    if options.back is not None:
        if not source.returned:
            raise InputError("--back", f"the instance file of {source.name} does not say which layers the network returns "
                                       "(\"returned\": true)")  # fmt: skip
        changes["back_bytes_per_s"] = parse_rate(options.back, "back")
    if options.exchange is not None and is_of_two:
        changes["rtt_s"] = parse_delay(options.exchange, "rtt")
    if options.memory is not None:
        limits = memory_limits(options.memory, [place.memory_limit_bytes for place in source.places])
        changes["places"] = [{**place.model_dump(), "memory_limit_bytes": limit}
                             for place, limit in zip(source.places, limits, strict=True)]  # fmt: skip
    asked = {"t_edge_s": options.edge, "t_server_s": options.server}
    devices = {key: load_device(name) for key, name in asked.items() if name is not None}
    if devices:
        changes["layers"] = [{**layer.model_dump(), **_times(layer, devices)} for layer in source.layers]
    if options.edge is not None:
        changes["power"] = devices["t_edge_s"].power
    return source.replace(**changes) if changes else source


@dataclass(frozen=True)
class _Work:
    """An instance's layer as a device sees it: only its work is known."""

    name: str
    macs: int
    kind: str = "unknown"
    t_local_s: float | None = None
    work: None = None


def _times(layer: InstanceLayer, devices: Mapping[str, TimesLayers]) -> dict[str, float]:
    if "macs" not in layer.extra:
        raise InputError("device", f"layer {layer.name!r} of the instance file has no number 'macs', so its times cannot "
                                   "be those of another device; leave out --edge and --server")
    work = _Work(layer.name, int(layer.extra["macs"]))
    return {key: device.layer_time_s(work) for key, device in devices.items()}


def codecs_to_measure(profile: NetworkProfile, choice: ChoosesCodecs, options: Options) -> list[str]:
    """The codecs whose sizes or times must still be measured on this machine."""
    tensors = (*profile.input_tensors, *(layer.name for layer in profile.layers))
    used = {codec.name: codec for codec in map(choice.of, tensors) if codec.name not in (RAW, *(profile.codecs or {}))}
    specs, is_local = profile.input_tensors.values(), LOCAL in options.devices
    return [name for name, codec in used.items() if is_local or any(codec.sent_bytes(spec) is None for spec in specs)]


def needs_local_times(source: Instance | NetworkProfile, options: Options) -> bool:
    """Whether the source lacks times measured on this machine, and they are asked for or a device's cost model needs them."""
    if not isinstance(source, NetworkProfile) or source.is_timed:
        return False
    return any(needs_local_times_of(load_place(device)) for device in options.devices)
