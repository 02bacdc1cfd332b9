"""Decoded images that are not decoded twice."""
