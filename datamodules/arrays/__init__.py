"""Periodic arrays: their lattice, found in one image."""
