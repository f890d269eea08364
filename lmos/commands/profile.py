"""`lmos profile`: a network's layers, arcs, work, weights and outputs, and this machine's time for each layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lmos.commands.conventions import Told, tell_doubts
from lmos.commands.profile_tables import profile_tables
from lmos.kept_profiles import Asked, kept_profile
from lmos.output import activity, err, out, print_json, table
from lmos_opt.codec_sizes import Fidelity as Losses
from lmos_opt.codec_sizes import MeasuredCodec
from lmos_opt.errors import InputError
from lmos_opt.plan import picture_or_first
from lmos_opt.plots.style import check
from lmos_opt.processes.writing import check_output
from lmos_opt.profile import LONGEST_REST_S, NetworkProfile
from lmos_opt.sources import Options, instance_of
from lmos_opt.units import counted, format_time, parse_percent, parse_time
from runner.errors import Interrupted
from runner.wire.access import Credentials


@dataclass(frozen=True)
class At:
    """A server whose machine is asked for its times."""

    server: str
    credentials: Credentials


BUNDLED = "bundled"
"""In the place of a folder: the bundled pictures."""


@dataclass(frozen=True)
class Fidelity:
    """Losses to measure, as typed: over which inputs, and which half of them, at most so many, and how sure they are to be."""

    inputs: str
    seed: int
    most: int | None
    confidence: str | None

    @property
    def sure(self) -> float | None:
        """The confidence, 0 to 1; None: mean losses count. InputError if it is not a percentage."""
        if self.confidence is None:
            return None
        percent = parse_percent(self.confidence, "--confidence")
        if not 0 < percent < 100:
            raise InputError("--confidence", f"got {self.confidence!r:.40}; expected a percentage between 0 and 100")
        return percent / 100

    @property
    def path(self) -> Path | None:
        """The path of the inputs; None: the bundled pictures."""
        return None if self.inputs == BUNDLED else Path(self.inputs)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `lmos profile` is asked for, as typed; `every` layer is shown where that is asked, and the plot is of `options`."""

    network: str
    output: Path | None
    granularity: str | None
    inputs: Sequence[str]
    time: bool
    at: At | None
    precision: str
    budget: str
    rest: str
    engine: str
    engine_precision: str
    weights: str | None
    told: Told
    threads: int | None
    codecs: Sequence[str]
    fidelity: Fidelity | None
    every: bool
    opaque: Sequence[str]
    plot: Path | None
    prompt: int | None
    context: int | None
    options: Options
    as_json: bool


def run(request: Request) -> None:
    """Raises InputError for a network, weights, a shape, a precision or a budget that cannot be used; Interrupted after all was
    written."""
    output, plot = request.output, request.plot
    check_output(output, (".json",))
    sure, seconds = _conditions(request.precision, request.budget)
    rest_s = parse_time(request.rest, "--rest")
    if rest_s > LONGEST_REST_S:
        raise InputError("--rest", f"{request.rest!r:.60} is longer than {LONGEST_REST_S:g} s")
    if plot is not None:
        check(plot)
    found = kept_profile(Asked(network=request.network, weights=request.weights, granularity=request.granularity,
                               inputs=tuple(request.inputs), opaque=tuple(request.opaque), prompt=request.prompt,
                               context=request.context))  # fmt: skip
    if found.network is not None:
        found = found.model_copy(update={"network": request.told.applied(found.network, picture_or_first(found))})
    if request.at is not None:
        found = _timed_at(found, request.at, seconds, request.time)
    elif request.time:
        from lmos.profiles import time_profile  # here, as below: torch takes seconds to import
        from measurement.engines import get

        found = time_profile(found, request.threads, sure, seconds, get(request.engine, request.engine_precision), rest_s)
    found = _with_codecs(found, request)
    if output is not None:
        found.save(output)
    if plot is not None:
        from lmos_opt.plots.cuts import save_cuts_plot

        save_cuts_plot(instance_of(found, request.options), plot)
    if request.as_json:
        print_json(found.to_json())
    else:
        _show(found, request.every)
    if request.time or request.at is not None:
        tell_doubts(found.name, () if found.timing is None else found.timing.doubts)
    _say_unknown(found)
    if found.fidelity is not None and request.fidelity is not None and not found.fidelity.calibration.complete:
        raise Interrupted(f"ended after {counted(found.fidelity.calibration.inputs, 'input')}")


def _say_unknown(found: NetworkProfile) -> None:
    for operation in found.unknown_operations:
        layers = _some([layer.name for layer in found.layers if operation in layer.unknown_operations])
        where = f" in {layers}" if layers else ""
        err().print(f"lmos: no cost formula for {operation}{where}: its work counts as 0", soft_wrap=True)


def _with_codecs(profile: NetworkProfile, request: Request) -> NetworkProfile:
    """The profile with the sizes and times of codecs, and with their losses, if the options ask for them."""
    if request.fidelity is not None:
        from lmos.profiles import FidelityAsked, measure_fidelity

        asked = request.fidelity
        return measure_fidelity(profile, FidelityAsked(asked.path, request.codecs, asked.seed, asked.most, request.threads,
                                                       asked.sure))  # fmt: skip
    if request.codecs:
        from lmos.profiles import measure_codecs

        return measure_codecs(profile, request.codecs, request.threads)
    return profile


def _timed_at(profile: NetworkProfile, at: At, budget_s: float, is_timed_here: bool) -> NetworkProfile:
    """The profile with the times of a server's machine in place of this one's."""
    from lmos_opt.plan import PlannedNetwork
    from lmos_opt.tensors import inputs_of
    from runner.client.measuring import timed_at
    from runner.wire.connecting import parse_address

    if is_timed_here:
        raise InputError("--at", "measures on another machine, and --time on this one; choose one of them")
    if profile.network is None:
        raise InputError(profile.name, "names no network to build, so nobody can time it")
    if profile.tokens is not None:
        raise InputError("--at", "does not time decoders; run lmos profile --time on that machine")
    address = parse_address(at.server, what="--at")
    network = PlannedNetwork(**profile.network.model_dump(), name=profile.name, granularity=profile.granularity,
                             **inputs_of(profile))  # fmt: skip
    with activity(f"timing {profile.name} at {at.server}"):
        return timed_at(profile, network, address, at.credentials.at(address), budget_s)


def _some(names: Sequence[str], most: int = 4) -> str:
    left = len(names) - most
    return ", ".join(names[:most]) + (f" and {left} more" if left > 0 else "")


def _conditions(precision: str, budget: str) -> tuple[float, float]:
    """The relative width and the seconds that were asked for."""
    if precision[:1].isalpha():  # as `lmos run --precision` takes it
        raise InputError("--precision", f"{precision!r:.60} is not a percentage: it is how exact the times should be; how "
                                        "numbers are kept is --engine-precision")  # fmt: skip
    sure, seconds = parse_percent(precision, "--precision") / 100, parse_time(budget, "--budget")
    for option, text, value in (("--precision", precision, sure), ("--budget", budget, seconds)):
        if not value > 0:
            raise InputError(option, f"{text!r} is not positive")
    return sure, seconds


def _show(profile: NetworkProfile, every: bool) -> None:
    for part in profile_tables(profile, every):
        out().print(part)
    for name, codec in (profile.codecs or {}).items():
        out().print(codec_line(profile, name, codec), soft_wrap=True)
    if profile.fidelity is not None:
        out().print(losses_table(profile, profile.fidelity))


_CRITERIA = {"labels": "inputs that are right and would be wrong", "classes": "inputs whose class changes",
             "outputs": "how far outputs are off"}  # fmt: skip


def losses_table(profile: NetworkProfile, fidelity: Losses) -> object:
    """A line for each codec: the tensors without a loss, the losses of the others, the largest one, and which losses count."""
    about = fidelity.calibration
    rows = []
    for name, losses in fidelity.losses.items():
        worst = max(losses, key=lambda tensor: losses[tensor], default=None)
        errors = fidelity.errors.get(name, {})
        rows.append([name, str(len(losses)), str(sum(not loss for loss in losses.values())),
                     *("" if worst is None else f"{of[name][worst]:.2%}" for of in (fidelity.losses, fidelity.upper) if of),
                     worst or "",
                     f"{max(errors.values(), default=0.0):.3g}"])  # fmt: skip
    right = "" if about.right is None else f", of which the network gets {about.right:.2%} right"
    cut = "" if about.complete else ", ended early"
    title = (f"{profile.name}: {_CRITERIA[about.criterion]} when one tensor alone is encoded, over "
             f"{counted(about.inputs, 'input')} ({about.part}, seed {about.seed}) of {about.of}{right}{cut}")  # fmt: skip
    sure = [] if about.confidence is None else [f"at most ({100 * about.confidence:g} %)"]
    return table(title, ["codec", "tensors", "of these without loss", "most", *sure, "at", "outputs off by"], rows,
                 left=[0, 4 + len(sure)])  # fmt: skip


def codec_line(profile: NetworkProfile, name: str, codec: MeasuredCodec) -> str:
    """One line: the range of what is left of a tensor, and what a megabyte costs."""
    raw = {**{name: spec.bytes for name, spec in profile.input_tensors.items()},
           **{layer.name: layer.output_bytes for layer in profile.layers}}
    left = [sent.bytes / raw[layer] for layer, sent in codec.sent.items() if raw[layer]]
    total = sum(raw[layer] for layer in codec.sent) / 1e6 or 1.0
    encode, decode = (sum(getattr(sent, key) for sent in codec.sent.values()) / total for key in ("encode_s", "decode_s"))
    return (f"{name}: {min(left, default=1):.2f} to {max(left, default=1):.2f} of a tensor's bytes, {format_time(encode)} and "
            f"{format_time(decode)} to encode and decode a megabyte")
