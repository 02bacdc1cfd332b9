"""What can be wrong with a model's ingredients, said so that it can be mended."""


class WeightsError(ValueError):
    """Weights are missing or do not fit. The message lists the ways out."""


class UntrainedError(RuntimeError):
    """A model is asked to judge before it has learnt anything. The message says how it comes to know something."""


class DivergedError(ValueError):
    """Training ran away: a loss is no number any more. The message says what calms it."""
