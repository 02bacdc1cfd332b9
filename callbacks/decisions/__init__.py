"""From raw scores to verdicts: thresholds by scope, what an image is evidence of, and what is out of the ordinary."""
