"""Pictures without labels, to learn features from: crops of real ones, and pictures drawn by rule."""
