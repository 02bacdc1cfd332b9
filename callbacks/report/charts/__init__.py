"""Drawings of the pages, as SVG: curves, scores, defects, sweeps."""
