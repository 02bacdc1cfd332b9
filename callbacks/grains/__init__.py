"""Grains: closed from the boundaries that a network or a person drew, counted and measured. Pure functions."""
