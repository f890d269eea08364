"""Figure 4: accuracy at every split, with trained weights on real data, and with a crossing that is wrong on purpose."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from lmos.paper.making.drawing import grid, legend_below, styles
from lmos.paper.making.experiment import Experiment, Reading, Result, Shown
from lmos.paper.making.lab import Lab, rows
from lmos_opt.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from lmos.paper.making.accuracy import Classifier

RIGHT = {"chelsea.png": ("tabby", "tiger cat", "Egyptian cat"), "coffee.png": ("espresso",), "rocket.jpg": ("missile",),
         "coins.png": (), "gravel.png": ()}  # fmt: skip
"""The right classes of ImageNet for the bundled pictures (data/pictures/README.md). Two pictures show none of them."""


def _run(lab: Lab) -> Result:
    import pandas as pd

    try:
        import torch

        from lmos.paper.making.accuracy import correct
    except ImportError:
        raise MissingExtraError("figure 4, which runs networks,", "torch") from None
    classifiers = [_squeezenet(lab), _digits(lab)]
    total = sum(len(classifier.layers) + 1 for classifier in classifiers)
    found: list[dict[str, Any]] = []
    for classifier in classifiers:
        known = sum(map(bool, classifier.right))
        for cut in range(len(classifier.layers) + 1):
            made = {"network": classifier.digest, "inputs": classifier.inputs_digest, "cut": cut, "torch": torch.__version__}
            as_is, spoiled = lab.kept("accuracy", made, partial(_both, classifier, cut))
            lab.on_step(len(found) + 1, total)
            found.append({
                "network": classifier.name, "x1": cut, "last_layer": classifier.layers[cut - 1] if cut else "input",
                "inputs": len(classifier.inputs), "changed": as_is["changed"], "differing": as_is["differing"],
                "accuracy_whole": correct(classifier, classifier.logits) / known,
                "accuracy": as_is["correct"] / known, "rolled_changed": spoiled["changed"],
                "rolled_differing": spoiled["differing"], "rolled_accuracy": spoiled["correct"] / known,
            })  # fmt: skip
    frame = pd.DataFrame(found)
    summary = pd.DataFrame([{
        "network": name, "cuts": len(part), "predictions compared": int(part["inputs"].sum()),
        "changed by splitting": int(part["changed"].sum()), "with any different bit": int(part["differing"].sum()),
        "accuracy whole": part["accuracy_whole"].iloc[0], "accuracy split, least": part["accuracy"].min(),
        "most": part["accuracy"].max(), "cuts at which rolled channels are caught": int((part["rolled_differing"] > 0).sum()),
        "of them by a changed class": int((part["rolled_changed"] > 0).sum()),
    } for name, part in frame.groupby("network", sort=False)])  # fmt: skip
    return Result(frame, (Shown("Every cut of two trained networks", summary),), _readings(lab, frame))


def _both(classifier: Classifier, cut: int) -> list[dict[str, int]]:
    """The check of one cut as it is, and with a wrong crossing."""
    from lmos.paper.making.accuracy import as_it_is, check, rolled

    return [asdict(found) for found in check(classifier, cut, as_it_is, rolled)]


def _squeezenet(lab: Lab) -> Classifier:
    """SqueezeNet with trained weights on the bundled pictures, each as it is and mirrored."""
    import torch
    from PIL import ImageOps

    from lmos.paper.making.accuracy import classifier
    from measurement.networks import build_network
    from measurement.networks.labels import imagenet_classes
    from measurement.networks.preprocessing import preprocessing_for
    from measurement.pictures import read_picture

    lab.data("weights", "squeezenet1_1.safetensors")
    prepare = preprocessing_for("torchvision:squeezenet1_1", "bundled:squeezenet1_1", (3, 224, 224))
    names, inputs, right = imagenet_classes(), [], []
    for file, words in RIGHT.items():
        picture = read_picture(lab.data("pictures", file))
        for view in (picture, ImageOps.mirror(picture)):
            inputs.append(prepare(view))
            right.append(frozenset(k for k, name in enumerate(names) if name in words))
    module = build_network("torchvision:squeezenet1_1", "bundled:squeezenet1_1")
    return classifier("squeezenet1_1", module, torch.cat(inputs), right)


def _digits(lab: Lab) -> Classifier:
    """A network trained on digits; its weights are kept, so that it is trained once."""
    from base64 import b64decode, b64encode

    import sklearn
    import torch
    from safetensors.torch import load, save

    from lmos.paper.making import digits
    from lmos.paper.making.accuracy import classifier

    data = digits.load_digits()
    made: dict[str, Any] = {"seed": lab.seed, "torch": torch.__version__, "sklearn": sklearn.__version__}
    kept = lab.kept("digits", made, lambda: {"weights": b64encode(save(digits.trained(data, lab.seed).state_dict())).decode()})
    module = digits.network().eval()
    module.load_state_dict(load(b64decode(kept["weights"])))
    return classifier("digits", module, data.test, [frozenset({int(k)}) for k in data.test_classes])


def _readings(lab: Lab, frame: pd.DataFrame) -> tuple[Reading, ...]:
    changed, differing = int(frame["changed"].sum()), int(frame["differing"].sum())
    caught = (frame["rolled_differing"] > 0).groupby(frame["network"], sort=False).agg(["sum", "size"])
    missed = frame[frame["rolled_differing"] == 0]
    return (
        Reading("agrees" if changed == 0 else "differs",
                f"{lab.claim('fig4')} Here {changed} of {int(frame['inputs'].sum())} predictions change over all cuts of two "
                f"trained networks, and {differing} outputs differ from the whole network's in any bit."),
        Reading("note", "The same check notices a crossing whose channels are moved on by one at "
                + "; ".join(f"{row['sum']} of {row['size']} cuts of {name}" for name, row in caught.iterrows())
                + (f". It cannot at {', '.join(f'the {line.last_layer} of {line.network}' for line in rows(missed))}: "
                   "what crosses there has one channel." if len(missed) else ".")),
        Reading("note", "The paper's accuracies (table 4) are those of other networks on pictures that it does not name; they are "
                        "not put beside these. Of the bundled pictures, accuracy counts those that ImageNet has a word for."),
    )


def draw(frame: pd.DataFrame) -> Figure:
    """Accuracy against the cut: as split, and with rolled channels."""
    networks = list(dict.fromkeys(frame["network"]))
    figure, panels = grid(len(networks), 1, 11, 3.4 * len(networks))
    look = styles(["accuracy", "rolled_accuracy"])
    for (ax,), name in zip(panels, networks, strict=True):
        part = frame[frame["network"] == name]
        ax.axhline(part["accuracy_whole"].iloc[0], color="#999999", linewidth=5, alpha=0.5, label="whole network")
        ax.plot(part["x1"], part["accuracy"], label="split", **look["accuracy"])
        ax.plot(part["x1"], part["rolled_accuracy"], label="split, channels rolled by one on the way (wrong on purpose)",
                **look["rolled_accuracy"])
        ax.set_title(f"{name}: {part['inputs'].iloc[0]} inputs at each of {len(part)} cuts")
        ax.set_ylim(-0.05, 1.05)
        ax.set_ylabel("accuracy")
    panels[-1][0].set_xlabel("layers at the edge, x1")
    legend_below(figure, panels[0][0], 3)
    return figure


EXPERIMENT = Experiment("fig4", "Impact of splitting on accuracy", "figure 4, section 5.3", _run, draw)
