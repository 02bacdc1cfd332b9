"""Periodic arrays: their lattice, found in one picture."""
