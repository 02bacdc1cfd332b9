"""What probabilities are worth, where the calibration turns scores into them."""

from __future__ import annotations

import numpy as np

from callbacks.statistics.probability import probability_intervals

from .measure import ContextMeasure, Section


class Probabilities(ContextMeasure):
    """Adds the column ``probability`` where scores become probabilities, and judges it."""

    def result(self) -> Section:
        """Return scores of probabilities under ``test``; nothing where the calibration has none."""
        to_probability = self.tested.calibration.to_probability
        if to_probability is None:
            return Section()
        predictions = self.tested.predictions
        probability_N = to_probability(predictions["score"].to_numpy(np.float64))
        label_N, group_N = (predictions[name].to_numpy() for name in ("label_index", "group"))
        estimates = probability_intervals(probability_N, label_N, group_N, self.tested.resampling)
        return Section(
            metrics={"test": {f"image_{name}": estimate for name, estimate in estimates.items()}},
            columns={"probability": probability_N.tolist()},
        )
