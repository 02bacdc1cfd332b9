"""What can be wrong with a model's ingredients, said so that it can be mended."""


class WeightsError(ValueError):
    """Weights are missing or do not fit. The message lists the ways out."""
