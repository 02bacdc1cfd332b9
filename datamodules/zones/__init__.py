"""Zones of a fiber's end face, found on its image: core, cladding and ferrule, with the scale that they give.

Needs NumPy, OpenCV and SciPy, and no torch. ``finding.find_zones`` is the way in.
"""
