"""`lmos regions`: a page that shows where the device alone, the input sent, or a cut inside the network is fastest."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from lmos.commands.policy import ends_of
from lmos.front_request import with_codecs
from lmos.output import activity, err
from lmos.pages.parts import check_page
from lmos.pages.regions.page import Asked, Panel, Subject, save_page
from lmos_opt.codec_sizes import Calibration
from lmos_opt.data import bundled_names
from lmos_opt.errors import InputError
from lmos_opt.link import load_link
from lmos_opt.plans.proportion import upper_end
from lmos_opt.policies.policy_maps import rates_of
from lmos_opt.policies.regions import Crossings
from lmos_opt.profile import NetworkProfile
from lmos_opt.sources import Options, codecs_to_measure, load_source
from lmos_opt.units import counted, parse_delay, parse_percent
from measurement import codecs
from measurement.codecs import Codec

USUAL = ("jpeg:75", "int8")
"""The codecs for a profile without losses: the input as a JPEG, and crossing tensors in 8 bits."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """The options of `lmos regions`, as typed. `codecs` are added to those whose losses a profile has."""

    networks: Sequence[str]
    devices: Sequence[str]
    server: str
    limits: Sequence[str]
    codecs: Sequence[str]
    between: str
    rtt: str
    output: Path


def run(request: Request) -> None:
    """Raises InputError for a network, device, codec, limit or range that cannot be used."""
    check_page(request.output)
    low, high = rates_of(*ends_of(request.between, "--range", "100kbps..1Gbps"), "--range")
    limits = sorted({parse_percent(text, "--floor") / 100 for text in request.limits})
    if limits and limits[-1] > 1:
        raise InputError("--floor", f"a loss of {100 * limits[-1]:g} % is more than everything; expected 0% to 100%")
    links = sorted(map(load_link, bundled_names("links")), key=lambda link: link.bandwidth_bytes_per_s)
    asked = Asked(low, high, parse_delay(request.rtt, "--rtt"), request.server, links)
    with activity("starting") as tell:
        subjects = []
        for name in request.networks:
            tell(f"looking at every split of {name}")
            subjects.append(_subject(name, request, limits))
        tell("drawing")
        save_page(subjects, asked, request.output)
    err().print(f"lmos: wrote {request.output}", soft_wrap=True)


def _subject(name: str, request: Request, limits: Sequence[float]) -> Subject:
    profile = load_source(name)
    if not isinstance(profile, NetworkProfile):
        raise InputError(name, "is an instance file, which does not say what devices and codecs make of it; expected a network or "
                               "a profile")  # fmt: skip
    profile, used, notes = _with_codecs(profile, request)
    fidelity = profile.fidelity
    if fidelity is None:
        limits = (0.0,)
        notes.append("What codecs lose of this network's result was not measured. So there are two pictures: nothing lost, where "
                     "all crosses as it is, and whatever is lost, where sizes alone are compared. lmos profile NETWORK --fidelity "
                     "IMAGES -o profile.json measures losses.")  # fmt: skip
    else:
        about = fidelity.calibration
        sure = "they are means" if about.confidence is None else (
            f"they are what each tensor does not exceed with {100 * about.confidence:g} % confidence")
        notes.append(f"Losses were measured on {counted(about.inputs, 'input')} of {about.of}; {sure}, and where several tensors "
                     f"cross their sum is an estimate.{_least(about)}")  # fmt: skip
    panels = []
    for device in request.devices:
        found = Crossings.of(profile, device, request.server, used)
        panels += [Panel(device, limit, found.ways(limit)) for limit in (*limits, None)]
    return Subject(profile.name, panels, notes)


def _least(about: Calibration) -> str:
    """A sentence: the smallest upper limit of a loss that this number of inputs can show."""
    if about.confidence is None:
        return ""
    least = 100 * upper_end(0, about.inputs, about.confidence)
    return f" So many inputs show no less than {least:.3g} %: a limit below that admits only what changes no bit."


def _with_codecs(profile: NetworkProfile, request: Request) -> tuple[NetworkProfile, list[Codec], list[str]]:
    """The profile with sizes in all codecs of the page, these codecs, and notes about them."""
    known = [] if profile.fidelity is None else list(profile.fidelity.losses)
    usual = [] if known or request.codecs else [name for name in USUAL if _fits(name, profile)]
    used = [codecs.get(name) for name in dict.fromkeys([*known, *request.codecs, *usual])]
    options = [Options(edge=device, server=request.server) for device in request.devices]
    notes, lacking = list[str](), {name for codec in used for one in options for name in codecs_to_measure(profile, codec, one)}
    if lacking:
        if not request.codecs and not find_spec("torch"):
            used = [codec for codec in used if codec.name not in lacking]
            notes.append(f"Without torch sizes in {', '.join(sorted(lacking))} cannot be measured: these codecs are left out.")
        else:
            profile = with_codecs(profile, sorted(lacking))
    if used:
        notes.append(f"What crosses does so as it is or in one of {', '.join(codec.name for codec in used)}. Bytes that depend on "
                     "numbers are means over pictures. Where a device's file has no times of codecs, encoding and decoding count "
                     "as no time.")  # fmt: skip
    return profile, used, notes


def _fits(name: str, profile: NetworkProfile) -> bool:
    with suppress(InputError):
        if profile.network is not None:
            codecs.get(name).for_network(profile.network, profile.input)
            return True
    return False
