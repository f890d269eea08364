"""The page: what was asked, the front, the choice and why, the cut, predicted beside measured, the environment."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lmos_opt
from lmos.output import last_layers, last_of
from lmos.pages.parts import Picture, Table, picture_of, write_page
from lmos.pages.summary.seen import seen_of
from lmos.pages.summary.subject import Subject
from lmos_opt import objectives
from lmos_opt.errors import InfeasibleError
from lmos_opt.files import Document
from lmos_opt.formulation.memory import MemoryModel
from lmos_opt.front import Front, Point
from lmos_opt.fronts.showing import work_of
from lmos_opt.instance import Instance
from lmos_opt.places import Hop
from lmos_opt.plan import Setting
from lmos_opt.plots.cuts import draw_cuts
from lmos_opt.plots.front import PLAIN_RULES, choices, draw_front, some_cuts
from lmos_opt.plots.graph import draw_graph
from lmos_opt.rules import find_rule
from lmos_opt.rules.baselines import MEANINGS, baseline, check_admitted, every
from lmos_opt.units import counted, format_rate, format_size, format_time
from runner.watching.report import STAGE_COLUMNS, decided, memory_note, stage_names, stage_rows

if TYPE_CHECKING:

    from runner.machine import Machine
    from runner.watching.report import RunReport

_HERE = Path(__file__).parent


def save_page(subject: Subject, path: Path) -> None:
    """Write the page of a subject: one file that needs no network. MissingExtraError without jinja2 or matplotlib."""
    write_page(path, _HERE, counted=counted, **parts(subject))


def parts(subject: Subject) -> dict[str, Any]:
    """The parts of the page, by the template's names; None or empty if the subject has no such part."""
    front, plan, instance, chosen = subject.front, subject.plan, subject.instance, subject.chosen
    cuts = some_cuts(instance, subject.memory_model) if instance is not None and front is not None and len(front.names) == 2 else ()
    pictures = {}
    if front is not None and len(front.names) > 1:
        pictures["front"] = picture_of(draw_front(front, None, chosen, cuts=cuts, rules=PLAIN_RULES), "the front")
    if instance is not None:
        split = subject.split
        is_cut = split is not None and all(before == frozenset(instance.names[: len(before)]) for before in split.upto)
        pictures["cuts"] = picture_of(draw_cuts(instance, chosen=split if is_cut else None), "every cut and its parts")
        if split is not None:
            pictures["graph"] = picture_of(draw_graph(instance, split.places), "the network and its cut")
    if subject.report is not None:
        pictures |= _run_pictures(subject.report)
    return {
        "title": _title(subject),
        "version": lmos_opt.__version__,
        "file": subject.file.name,
        "kind": "report" if subject.report else "plan" if plan else "front",
        "missing": subject.missing,
        "asked": _asked(subject),
        "front": front,
        "points": None if front is None else _points(front, chosen),
        "rules": None if front is None else _rules(front),
        "others": None if front is None or instance is None else _others(front, instance, subject.memory_model),
        "why": _why(subject),
        "crossing": None if plan is None else _crossing(subject),
        "stages": _stages(subject),
        "memory_note": None if plan is None or subject.report is None else memory_note(plan),
        "classes": None if subject.report is None else _images(subject.report),
        "seen": () if subject.report is None else seen_of(subject.report),
        "went": None if subject.report is None else _how_it_went(subject.report),
        "machines": None if subject.report is None else _machines(subject.report),
        "pictures": pictures,
        "downloads": [(document.SCHEMA.replace("/", "-").replace("lmos.", "") + ".json", _download(document))
                      for document in (front, plan, subject.report) if document is not None],
    }  # fmt: skip


def _title(subject: Subject) -> str:
    plan = subject.plan
    if plan is not None:
        name = "A network" if plan.network is None else plan.network.name
        if plan.n_places > 2:
            *first, last = map(str, plan.counts)
            return f"{name} over {plan.n_places} places: {', '.join(first)} and {last} layers"
        cut = f"cut after {plan.x1} of {counted(plan.n_layers, 'layer')}"
        return f"A {cut}" if plan.network is None else f"{name}, {cut}"
    return f"{subject.front.instance}: its Pareto front" if subject.front else subject.file.name


def _asked(subject: Subject) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    plan, front = subject.plan, subject.front
    if plan is not None:
        setting = plan.setting
        found += [("network", plan.network.builder if plan.network else "numbers alone"), *_along(setting),
                  ("edge memory is counted by", setting.memory_model), ("selection rule", setting.rule)]  # fmt: skip
        asked = {"constrained": [setting.constrain or ""], "proper split": ["yes"] * setting.proper_split,
                 "functions of variables": setting.variables, "constraints": setting.constraints,
                 "at most": [f"{name} {most:g}" for name, most in setting.at_most.items()],
                 "objectives": setting.objectives or () if front is None else ()}  # fmt: skip
        found += [(what, ", ".join(names)) for what, names in asked.items() if any(names)]
        if plan.solution:
            found.append(("variables of one's own", decided(plan)))
    elif front is not None:
        found += [("instance", front.instance), ("selection rule", subject.rule or "none was named")]
    if front is not None:
        found += [("objectives", ", ".join(f"{o.name} ({o.unit}, {o.sense})" if o.unit else f"{o.name} ({o.sense})"
                                           for o in front.objectives)),
                  ("search", work_of(front))]  # fmt: skip
    return found


def _along(setting: Setting) -> list[tuple[str, str]]:
    """The places and hops, and the memory limits that there are."""
    if not setting.places:
        return [("edge", setting.edge), ("server", setting.server), *_hop("", setting.every_hop[0]),
                ("edge memory limit", _limit(setting.memory_limit_bytes))]  # fmt: skip
    names = [(f"place {p}", name) for p, name in enumerate(setting.place_names, 1)]
    hops = [row for h, hop in enumerate(setting.hops, 1) for row in _hop(f"hop {h}: ", hop)]
    limits = [(f"memory limit of place {p}", _limit(limit)) for p, limit in enumerate(setting.limits, 1)
              if p == 1 or limit is not None]
    return [*names, *hops, *limits]


def _hop(which: str, hop: Hop) -> list[tuple[str, str]]:
    back = "free" if hop.back_bytes_per_s is None else format_rate(hop.back_bytes_per_s)
    return [(f"{which}bandwidth", format_rate(hop.bandwidth_bytes_per_s)),
            (f"{which}fixed cost of an exchange", format_time(hop.rtt_s)), (f"{which}way back of results", back)]


def _limit(limit: int | None) -> str:
    return "none" if limit is None else format_size(limit)


def _points(front: Front, chosen: Point | None) -> Table:
    rows = []
    for point in front.points:
        last = last_of(point.places) if len(point.counts) > 2 else [(point.edge_layers or ("(none)",))[-1]]
        rows.append(("chosen" if point is chosen else "", *_counts(point),
                     *(_value(o.unit, point.values[o.name]) for o in front.objectives),
                     *(last if point.solution is None else [""] * len(last))))  # fmt: skip
    counts = _count_names(front)
    columns = ("", *counts, *(f"{o.name} ({o.sense})" for o in front.objectives), *last_layers(max(len(counts), 2)))
    return Table(columns, tuple(rows), tuple(range(1, 1 + len(counts) + len(front.names))))


def _count_names(front: Front) -> list[str]:
    """The columns of numbers of layers: x1, of more than two places all."""
    most = max((len(point.counts) for point in front), default=2)
    return ["x1"] if most <= 2 else [f"x{p}" for p in range(1, most + 1)]


def _counts(point: Point) -> list[str]:
    """What stands in them."""
    return [*map(str, point.counts)] if len(point.counts) > 2 else ["" if point.x1 is None else str(point.x1)]


def _rules(front: Front) -> Table:
    rows = [(", ".join(names), *_counts(point),
             *(_value(o.unit, point.values[o.name]) for o in front.objectives)) for names, point in choices(front, PLAIN_RULES)]
    columns = ("rule", *_count_names(front), *front.names)
    return Table(columns, tuple(rows), tuple(range(1, len(columns))))


def _others(front: Front, instance: Instance, memory_model: MemoryModel) -> Table | None:
    """The choices of those baselines that the limits admit; None if an objective is the user's own."""
    if not set(front.names) <= set(objectives.names()):
        return None
    rows = []
    for rule in every(instance):
        try:
            split = baseline(instance, rule, memory_model)
            assert split is not None  # these are baselines
            check_admitted(split, rule)
        except InfeasibleError:
            continue
        values = [(o.unit, own(split)) for o in front.objectives if (own := objectives.get(o.name).value) is not None]
        counts = [str(len(layers)) for layers in split.places]
        rows.append((rule, *(counts if len(counts) > 2 else counts[:1]), *(_value(*value) for value in values)))
    columns = ("rule", *_count_names(front), *front.names)
    return Table(columns, tuple(rows), tuple(range(1, len(columns))))


def _why(subject: Subject) -> list[str]:
    """Sentences: the meaning of the rule, and the cost of the choice compared with the ends of the front."""
    rule = subject.rule
    if rule is None:
        return ["No rule was named, so no point is chosen; --select names one."]
    found = [f"Rule {rule}: {_meaning(rule)}."]
    front = subject.front
    if subject.plan is not None:
        predicted = subject.plan.predicted
        values = {name: float(predicted[stage]) for name, stage in (("latency", "latency_s"), ("memory", "edge_memory_bytes"))
                  if stage in predicted}
    elif subject.chosen is not None:
        values = {name: float(value) for name, value in subject.chosen.values.items()}
    else:
        return found
    if front is not None and {"latency", "memory"} <= set(front.names):
        least, most = front.ideal["latency"], front.ideal["memory"]
        over = f", {100 * (values['latency'] / least - 1):.1f} % over the least" if least > 0 else ""
        share = f", {100 * values['memory'] / most:.1f} % of the most that any point of the front uses" if most > 0 else ""
        found.append(f"It takes {format_time(values['latency'])}{over}, and uses {format_size(values['memory'])} of the edge's "
                     f"memory{share}.")
    if front is not None and subject.plan is not None and subject.chosen is None:
        found.append("The choice is not on the front: some other split is at least as good in all objectives.")
    if subject.note is not None:
        found.append(subject.note)
    return found


def _meaning(rule: str) -> str:
    found, (name, _, argument) = find_rule(rule), rule.partition(":")
    return MEANINGS.get(name, "a rule that this page does not know") if found is None else found.meaning(argument)


def _crossing(subject: Subject) -> Table:
    plan = subject.plan
    assert plan is not None
    rows = [(f"hop {h}", t.name, "x".join(map(str, t.shape)), t.dtype, format_size(t.bytes))
            for h, hop in enumerate(plan.hops, 1) for t in hop]  # fmt: skip
    columns = ("over", "tensor", "shape", "type", "size")
    return Table(columns, tuple(rows), (4,)) if plan.n_places > 2 else Table(columns[1:], tuple(row[1:] for row in rows), (3,))


def _stages(subject: Subject) -> Table | None:
    plan, report = subject.plan, subject.report
    if plan is None:
        return None
    names = stage_names(plan)
    rows = tuple((names[key], *cells) for key, *cells in stage_rows(plan, report))
    columns = STAGE_COLUMNS if report is not None else STAGE_COLUMNS[:3]
    return Table(columns, rows, tuple(range(1, len(columns))))


def _images(report: RunReport) -> Table:
    last = "server" if report.plan.n_places == 2 else report.plan.setting.place_names[-1]
    rows = tuple((Path(image.file).name, image.in_words, format_time(image.latency_s),
                  last if image.finished_at == "plan" else f"edge: {image.reason}") for image in report.per_image)
    rows += tuple((skipped.file, "skipped", "", skipped.reason) for skipped in report.skipped)
    return Table(("picture", "class", "took", "finished at"), rows, (2,))


def _how_it_went(report: RunReport) -> str:
    words = [counted(report.images, "image"),
             *([f"{report.goodput_images_per_s:.2f} a second"] if report.goodput_images_per_s else []),
             "pipelined" if report.pipelined else "one after another", f"{report.retries} sent again",
             f"{report.fallbacks} finished at the edge", f"{report.lost} lost",
             *([f"{counted(len(report.skipped), 'picture')} skipped"] if report.skipped else []),
             *([report.codec.in_words] if report.codec else [])]  # fmt: skip
    link = report.environment.shape
    return ", ".join(words) + (f"; the link was held to {link}" if link else "") + \
        ("" if report.complete else f"; cut short: {report.reason}") + "."


def _machines(report: RunReport) -> Table:
    environment = report.environment
    machines: list[tuple[str, Machine]] = [("edge", environment.edge)]
    if environment.server is not None:
        machines.append(("server" if report.plan.n_places == 2 else "place 2", environment.server))
    machines += [(f"place {p}", machine) for p, machine in enumerate(environment.beyond, 3)]
    rows = [("processor", *(m.cpu for _, m in machines)),
            ("cores, torch's threads", *(f"{m.cores}, {m.threads}" for _, m in machines)),
            ("system", *(m.system for _, m in machines)),
            ("versions", *(", ".join(f"{k} {v}" for k, v in m.versions.items()) for _, m in machines)),
            ("commit", *(m.commit or "none" for _, m in machines))]  # fmt: skip
    same = len(machines)
    rows += [("began", *[environment.started] * same), ("weights", *[environment.weights] * same),
             ("images", *[environment.images] * same)]  # fmt: skip
    if environment.preprocessing is not None:
        assumed = ", assumed" if environment.preprocessing.origin == "assumed" else ""
        rows += [("pictures become inputs", *[environment.preprocessing.in_words + assumed] * same)]
    return Table(("", *(name for name, _ in machines)), tuple(rows))


def _run_pictures(report: RunReport) -> dict[str, Picture]:
    from runner.watching.plots import draw_report

    found = {}
    if any(key in report.measured for key in ("t_edge_s", "latency_s")):
        found["stages"] = picture_of(draw_report(report, kind="stages"), "predicted beside measured")
    if report.pipelined and all(image.began_s is not None for image in report.per_image) and report.per_image:
        found["gantt"] = picture_of(draw_report(report, kind="gantt"), "each image over time")
    return found


def _download(document: Document) -> str:
    return b64encode(document.to_json().encode()).decode()


def _value(unit: str, value: float) -> str:
    if unit == "s":
        return format_time(value)
    return format_size(value) if unit == "B" else f"{value:.6g} {unit}".strip()
