"""What a score says beside its verdict: probabilities, and what they are worth; its rank among good images."""

from __future__ import annotations

import numpy as np

from callbacks.statistics.probability import probability_intervals
from callbacks.statistics.rank import GoodScores

from .measure import ContextMeasure, Section


class Probabilities(ContextMeasure):
    """Adds the columns ``probability`` (empty where it could not be fitted honestly) and ``rank_among_good``."""

    def result(self) -> Section:
        """Return the columns, and under ``test`` how far probabilities can be believed, where there are any."""
        calibration, predictions = self.tested.calibration, self.tested.predictions
        good = GoodScores(calibration.summary()["good_scores"])
        ranks = [good.rank(score, kind) for score, kind in zip(predictions["score"], predictions["kind"], strict=True)]
        to_probability = calibration.to_probability
        if to_probability is None:
            return Section(columns={"probability": [None] * len(ranks), "rank_among_good": ranks})
        probability_N = to_probability(predictions["score"].to_numpy(np.float64))
        label_N, group_N = (predictions[name].to_numpy() for name in ("label_index", "group"))
        estimates = probability_intervals(probability_N, label_N, group_N, self.tested.resampling)
        return Section(
            metrics={"test": {f"image_{name}": estimate for name, estimate in estimates.items()}},
            columns={"probability": probability_N.tolist(), "rank_among_good": ranks},
        )
