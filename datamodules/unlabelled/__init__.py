"""Images without labels, to learn features from: crops of real ones, and images drawn by rule."""
