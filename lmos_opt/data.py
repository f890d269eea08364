"""Where the bundled data lies: inside the installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

from lmos_opt.errors import InputError, likely


def data_dir() -> Path:
    """The folder of the bundled data (`profiles`, `devices`, `links`, `weights`, `pictures`, ...)."""
    inside = Path(__file__).parent / "data"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "data"


def bundled_names(kind: str) -> list[str]:
    """Names of the bundled JSON files of one kind, sorted."""
    return sorted(path.stem for path in (data_dir() / kind).glob("*.json"))


def bundled(kind: str, name: str, noun: str) -> Path:
    """The bundled file `kind/name.json`; InputError lists what there is."""
    names = bundled_names(kind)
    if name not in names:
        if name and Path(name).is_dir():
            raise InputError(name, f"is a folder; expected a file, or a bundled {noun}; bundled are {', '.join(names)}")
        raise InputError(name, f"is neither a file nor a bundled {noun}; bundled are {', '.join(names)}{likely(name, names)}")
    return data_dir() / kind / f"{name}.json"
