"""The baseline of a single number, against scikit-learn, and which number it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from callbacks.measures.baseline import CHOSEN, UNCHOSEN, flipped, number_baseline, strongest
from callbacks.measures.data_problems import problems_of
from callbacks.statistics.bootstrap import Estimate, Resampling


@pytest.mark.parametrize("seed", range(4))
def test_baseline_equals_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    brightness, label = rng.random(60), rng.integers(0, 2, 60)
    group = np.arange(60).astype(str)
    found = number_baseline(brightness, label, group, Resampling(50))
    auroc = roc_auc_score(label, brightness)
    assert found["image_auroc"].value == pytest.approx(auroc)
    assert found["image_ap"].value == pytest.approx(average_precision_score(label, brightness))
    assert found["separability"].value == pytest.approx(max(auroc, 1 - auroc))
    assert found["image_f1_flag_all"].value == pytest.approx(f1_score(label, np.ones(60)))


def test_darker_defects_are_separable_too() -> None:
    brightness, label = np.linspace(0, 1, 20), np.repeat([1, 0], 10)
    found = number_baseline(brightness, label, np.arange(20).astype(str), Resampling(50))
    assert found["image_auroc"].value == 0.0
    assert found["separability"].value == 1.0
    assert found["separability"].low > 0.5


def test_flipping_keeps_the_interval_around_the_value() -> None:
    estimate = flipped(Estimate(0.2, 0.1, 0.4))
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.8, 0.6, 0.9))


def samples(seed: int = 0, count: int = 120) -> pd.DataFrame:
    """Draw a surveyed table: a third defective; all numbers say nothing of the labels."""
    rng = np.random.default_rng(seed)
    names = [f"{'good' if index % 3 else 'bad'}/{rng.integers(2**40):x}.png" for index in range(count)]
    return pd.DataFrame(
        {
            "name": names,
            "image_path": names,
            "label_index": [0 if index % 3 else 1 for index in range(count)],
            "split": rng.permutation(np.repeat(["train", "calibration", "test"], count // 3)),
            "brightness": rng.normal(0.5, 0.05, count),
            "contrast": rng.normal(0.2, 0.02, count),
            "sharpness": rng.normal(0.1, 0.02, count),
            "channels": 1,
            "height": 100,
            "width": 100,
            "file_bytes": rng.integers(9000, 9900, count),
            "sha256": [f"{index:04x}" for index in range(count)],
            "group": names,
            "kind": "",
            "defect": "",
        }
    )


def test_the_strongest_number_is_chosen_on_calibration_images_alone() -> None:
    table = samples()
    defective = table["label_index"] == 1
    table.loc[defective & (table["split"] == "calibration"), "contrast"] -= 0.1
    table.loc[defective & (table["split"] == "test"), "brightness"] += 1.0  # which the choice must not see
    found = strongest(table)
    assert (found.words, found.origin) == ("contrast, lower on defective ones", CHOSEN)
    np.testing.assert_allclose(found.score_N, -table["contrast"])


def test_distances_from_the_usual_and_within_groups_count() -> None:
    table = samples(1)
    defective = table["label_index"] == 1
    rng = np.random.default_rng(5)
    table.loc[defective, "brightness"] += rng.choice([-0.5, 0.5], defective.sum())
    assert strongest(table).words == "brightness, as distance from the usual, higher on defective ones"
    table = samples(2)
    table["group"] = [f"lot {index // 10}" for index in range(len(table))]
    light = np.repeat(rng.normal(0, 10, 12), 10)  # each lot under a light of its own
    table["brightness"] = 0.5 + light + np.where(defective, rng.choice([-1, 1], 120), 0) + rng.normal(0, 0.05, 120)
    assert strongest(table).words == "brightness, as distance from the usual of its group, higher on defective ones"


def test_without_defects_to_choose_on_it_is_brightness_in_its_better_direction() -> None:
    table = samples()
    table = table[(table["split"] != "calibration") | (table["label_index"] == 0)]
    found = strongest(table)
    assert (found.words, found.origin) == ("brightness", UNCHOSEN)


def test_the_doctors_problems_are_said() -> None:
    table = samples(3)
    assert problems_of(table) == []
    defective = table["label_index"] == 1
    told = table.assign(file_bytes=table["file_bytes"] + 5000 * defective)
    (problem,) = problems_of(told)
    assert problem.startswith(
        "File size alone tells good from defective pictures (AUROC, 1 or 0 where it never errs: file size 1.000 ("
    )
    assert problem.endswith("the result may rest on how the pictures were taken.")
    copies = table.assign(sha256=["same" if index in (0, 1) else f"{index}" for index in range(len(table))])
    assert problems_of(copies) == [
        "Files that are there more than once are called good and defective (1): mend the labels."
    ]
    cut = table.assign(group=["one" if index < 40 else f"{index}" for index in range(len(table))])
    assert problems_of(cut) == [
        "Groups lie in more than one split (1, such as one): what is tested was partly trained on."
    ]
