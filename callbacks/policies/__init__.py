"""Policies: rules that turn calibration scores into a threshold, one per file."""
