"""``MODEL_CARD.md``: what a bundle is, what it promises, and what it rests on, for whoever signs for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from callbacks.measures.data_problems import SECTION
from callbacks.measures.learning import loud, with_reason
from callbacks.statistics.novelty import FACTS
from datamodules.files.fitting import OWN
from models.features.origins import networks_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHOWN = ("image_auroc", "image_f1", "image_precision", "image_recall", "image_fpr", "pixel_auroc", "pixel_f1")

MOVING = (
    "A line can be moved without a new export: edit `value` in `spec.json`, or give `--image-threshold`. The runner "
    "then says that `spec.json` was edited; no other file may change."
)
COMPOSED = {  # what the runner adds, where a graph holds only a part of the model
    "instances": "Its graph finds instances, which the runner lays onto the picture.",
    "hybrid": "One graph screens; another inspects the pictures that it does not pass, and finds instances on them.",
    "chain": "One graph marks inclusions, which the runner paints over before another marks boundaries.",
    "self_reference": "It compares a picture with nothing but itself: there is no graph, the runner computes it.",
    "searched": "Between its two graphs the runner finds the nearest patches of the bank, passing over most of it.",
    "layered": (
        "It compares a cell with the others of its own array, where `predict.py` is given them all: a whole image of "
        "the array, or tiles named ARRAY_ROW,COLUMN. A cell that comes alone is compared with the reference of the "
        "training array that it is most like. There is no graph, the runner computes it."
    ),
}
USE = (
    "`pip install -r requirements.txt`, then `python predict.py PICTURES`; `python predict.py --check` examines the "
    "bundle, `--help` lists the rest. In Python: `from loupe_runner import Bundle`."
)


def write_card(spec: Mapping[str, Any], parity: Mapping[str, Any], notes: Sequence[str]) -> str:
    """Write the card, in Markdown."""
    resize = spec["input"]["resize"]
    weights = spec["weights"]
    made, data = spec["made"], spec["data"]
    counts = ", ".join(f"{count} for {split}" for split, count in data["splits"].items())
    about = (
        f"A detector of visual defects, exported by {made['by']} on {made['at'][:10]}. It was trained for pictures "
        f"like those of its data ({counts}; hash `{data['hash']}`), and for nothing else."
    )
    seen = f"resizes a picture to {resize['height']} x {resize['width']} pixels"
    if resize["fit"] == OWN:
        seen = "takes a picture of any size as it is"
    does = (
        f"It {seen} and gives it a raw score and a map, higher is worse. A picture is called defective where its score "
        "reaches the threshold."
    )
    composition = spec["composition"]
    notes = [*loud(spec["metrics"].get("training", {})), *spec["metrics"].get(SECTION, []), *notes]
    does = " ".join(filter(None, (does, COMPOSED.get(composition["kind"]), _tiled(composition))))
    features = "No pre-trained weights."
    if weights:
        networks = (
            f"{one['name']}, weights `{one['weights']}`, licence: {one.get('licence', weights['licence'])}"
            for one in networks_of(weights).values()
        )
        features = f"Features: {'; '.join(networks)}."
    parts = [f"# {spec['name']}", about, *(f"**Note.** {note}" for note in notes)]
    for title, text in (
        ("What it does", does),
        ("Thresholds", thresholds_text(spec)),
        *([("Images that it knows", _usual(spec["usual"]))] if spec.get("usual") else []),
        ("What the test found", _metrics(spec["metrics"])),
        *([("Training", _training(spec))] if made.get("epoch") else []),
        ("Agreement with the checkpoint", _parity(parity)),
        ("Weights", features),
        ("Use", USE),
    ):
        parts += [f"## {title}", text]
    return "\n\n".join(parts) + "\n"


def thresholds_text(spec: Mapping[str, Any]) -> str:
    """Write the card's section on thresholds."""
    return f"{_thresholds(spec['thresholds'])}\n\n{MOVING}"


def _tiled(composition: Mapping[str, Any]) -> str:
    tiles = composition.get("tiles")
    if not tiles:
        return ""
    if "face" in tiles:
        what = "unwraps the end face about its axis" if tiles["face"] == "polar" else "cuts the end face out"
        return f"The runner {what}, to {tiles['size']} pixels, and lays the map back; nothing beyond it is judged."
    count = len(tiles["rows"]) * len(tiles["columns"])
    return f"The runner cuts the picture to {count} tiles of {tiles['size']} pixels, and puts together what is found."


def _thresholds(thresholds: Mapping[str, Any]) -> str:
    lines = ["| for | threshold | promise |", "|---|---|---|"]
    for level, unit in (("image", "pictures"), ("pixel", "pixels")):
        scopes = thresholds[level]
        entries = [("all " + unit, scopes["all"])]
        for scope in ("kind", "zone"):
            entries += [(f"{unit} of {scope} {name}", entry) for name, entry in scopes.get(scope, {}).items()]
        lines += [f"| {name} | {entry['value']:.6g} | {entry['promise']} |" for name, entry in entries]
    return "\n".join(lines)


def _usual(usual: Mapping[str, Any]) -> str:
    """List between which values the facts of an image are usual."""
    head = (
        "An image with a fact outside these limits is flagged as `unusual`: its verdict rests on nothing that the "
        "model has seen. Whether a whole set differs is said with a p value in `drift.json`."
    )
    lines = [head, "", "| fact | from | to |", "|---|---|---|"]
    rows = [f"| {FACTS[name].words} | {low:.4g} | {high:.4g} |" for name, (low, high, _) in usual["limits"].items()]
    return "\n".join([*lines, *rows]) if rows else "Too few images were learned from to say what is usual."


def _metrics(metrics: Mapping[str, Any]) -> str:
    if not metrics:
        return "Nothing is known: the checkpoint was exported without its run, or is not the one that its run tested."
    images = ", ".join(f"{count} {label}" for label, count in metrics["pictures"].items() if count)
    head = f"On test pictures that neither training nor calibration saw ({images}):"
    lines = [head, "", "| | value | interval |", "|---|---|---|"]
    for name in SHOWN:
        entry = metrics["test"].get(name)
        if entry and entry["value"] is not None:
            interval = "" if entry["low"] is None else f"{entry['low']:.3f} to {entry['high']:.3f}"
            lines.append(f"| {name.replace('_', ' ')} | {entry['value']:.3f} | {interval} |")
    return "\n".join(lines)


def _training(spec: Mapping[str, Any]) -> str:
    """Name the epoch that the bundle holds, and say why it is that one, as far as the run tells."""
    training = spec["metrics"].get("training")
    if training:
        return f"{with_reason(training)['reason']} Epochs count from 1; calibration images alone chose."
    epoch = spec["made"]["epoch"]
    return f"The checkpoint is that of epoch {epoch}, counted from 1; nothing says that its run kept this one."


def _parity(parity: Mapping[str, Any]) -> str:
    head = (
        "Judged from file to verdict by this bundle's own runner, beside the checkpoint; errors are shares of the "
        "range on calibration pictures."
    )
    columns = "| form | pictures | score error | map error | other verdicts | AUROC of checkpoint, bundle | allowed |"
    lines = [head, "", columns, "|---|---|---|---|---|---|---|"]
    for form in parity["forms"]:
        aurocs = [form["auroc_of_checkpoint"], form["auroc_of_bundle"]]
        shown = ", ".join("-" if value is None else f"{value:.4f}" for value in aurocs)
        lines.append(
            f"| {form['form']} | {form['pictures']} | {form['score_error']:.1e} | {form['map_error']:.1e} | "
            f"{len(form['flips'])} | {shown} | {_allowed(form['tolerance'])} |"
        )
    return "\n".join(lines)


def _allowed(tolerance: Mapping[str, float | None]) -> str:
    """Say what a form may lose, or it would not have been let out."""
    errors = [f"{name} {tolerance[name]:g}" for name in ("score", "map") if tolerance[name] is not None]
    lower = f"{tolerance['auroc']:g} lower" if tolerance["auroc"] else "no lower"
    return ", ".join([*errors, f"{tolerance['flips']:.0%} of verdicts", f"AUROC {lower}"])
