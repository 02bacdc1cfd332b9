"""The sentences that nobody who reads the results of a test should miss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from callbacks.measures.data_problems import SECTION
from callbacks.policies.prevalence import FEWEST_GOOD
from callbacks.report.wording import plural
from datamodules.table import CALIBRATION, DEFECTIVE, GOOD, TEST, TRAIN
from models.features.backbones import UNTRAINED
from models.features.origins import networks_of

if TYPE_CHECKING:
    from callbacks.decisions.calibration import Calibration
    from callbacks.measures.results import Results
    from datamodules.base import InspectionDataModule


IMAGE_FALLBACK = (
    "No calibration image is known to be defective, so the threshold lies just above the good ones: what it misses is "
    "unknown until defective images are labelled."
)
PIXEL_FALLBACK = (
    "No defect is marked on the calibration images, so the outlines rest on good images alone: they show roughly where "
    "a defect is, not how large it is."
)
NO_GOOD = "No calibration image is good, so a threshold had to be chosen from defective ones alone: it may be far off."


def warn(
    results: Results, calibration: Calibration, datamodule: InspectionDataModule, weights: dict[str, str]
) -> list[str]:
    """Collect the sentences that nobody who reads the results should miss."""
    problems = results.metrics.get(SECTION, [])  # first, since whatever follows rests on the data
    notes = [*problems, *datamodule.notes()]
    untrained = [facts["name"] for facts in networks_of(weights).values() if facts["weights"] == UNTRAINED]
    if untrained:
        notes.append(
            f"The features are untrained ({' and '.join(untrained)}, backbone.weights=none): expect far less than a "
            "trained backbone would give."
        )
    for scoped, caution in ((calibration.image, IMAGE_FALLBACK), (calibration.pixel, PIXEL_FALLBACK)):
        if scoped is not None and scoped.all.fallback:
            notes.append(caution if scoped.all.n_good else NO_GOOD)
    notes += few_good_notes(calibration, datamodule)
    notes += [note for note in results.notes if note not in problems]
    notes += scope_notes(calibration)
    labels = datamodule.samples.loc[datamodule.samples["split"] == TEST, "label_index"]
    defective, good = int((labels == DEFECTIVE).sum()), int((labels == GOOD).sum())
    if min(defective, good) < 30:
        notes.append(f"Only {defective} defective and {good} good test pictures: read the intervals, not the values.")
    notes += _warn_of_shortcut(results.metrics)
    if len(datamodule.excluded):
        notes.append(f"{len(datamodule.excluded)} files were left out; the list is under Data.")
    return notes


def few_good_notes(calibration: Calibration, datamodule: InspectionDataModule) -> list[str]:
    """Say that the threshold of images rests on few good ones, and where defects to calibrate on are to be had."""
    notes = []
    good = calibration.image.all.n_good if calibration.image is not None else 0
    if 0 < good < FEWEST_GOOD:
        notes.append(
            f"The picture threshold rests on only {plural(good, 'good calibration picture')}: expect it to move with "
            "the next ones, and rejects with it."
        )
    defective = datamodule.samples.loc[datamodule.samples["label_index"] == DEFECTIVE, "split"]
    supplied = datamodule.calibration_from == TRAIN and datamodule.folds is None
    if supplied and (defective == TEST).sum() > 1 and not (defective == CALIBRATION).any():
        notes.append(
            "All defective pictures are in the test, none to choose a threshold by: data.calibration_from=test takes "
            f"a share of {datamodule.calibration_share:g} of the test for that, defects included."
        )
    return notes


def scope_notes(calibration: Calibration) -> list[str]:
    """Name the kinds and zones that share the threshold of all, and say where probabilities could not be fitted."""
    asked = calibration.probability != "auto"
    notes = [calibration.probability_note] if asked and calibration.probability_note else []
    for level, scoped in (("pictures", calibration.image), ("pixels", calibration.pixel)):
        parts = {} if scoped is None else {f"kind {k}": t for k, t in scoped.kind.items()}
        parts |= {} if scoped is None else {f"zone {z}": t for z, t in scoped.zone.items()}
        shared = [name for name, threshold in parts.items() if threshold.shared]
        if shared:
            notes.append(
                f"Too few calibration pictures for a threshold of their own for {level}: {', '.join(shared)}; the "
                "threshold of all stands in."
            )
    return notes


def _warn_of_shortcut(metrics: dict[str, Any]) -> list[str]:
    """Compare with the strongest single number: as good, or within the model's own interval."""
    baseline = metrics.get("baseline", {})
    separability = baseline.get("separability", {}).get("value")
    auroc = metrics.get("test", {}).get("image_auroc", {"value": None})
    if separability is None or auroc["value"] is None or separability < max(0.7, auroc["low"]):
        return []
    name, _, how = baseline.get("number", "brightness").partition(", ")
    taken = f" ({how})" if how else ""
    found = (
        f"{name[:1].upper()}{name[1:]} alone{taken} separates these pictures with an AUROC of {separability:.3f}, "
        f"{baseline.get('origin', 'in its better direction')}"
    )
    if separability >= auroc["value"]:
        return [f"{found}, no worse than the model: the result may rest on how the pictures were taken."]
    return [f"{found}, within the model's own interval: its lead over {name} is not certain."]
