"""Defects as objects: regions of masks, what they measure, how severe they are, and which marked ones were found."""
