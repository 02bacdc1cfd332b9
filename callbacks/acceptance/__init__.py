"""Acceptance: from what is known about a part to accepted, rework, rejected or unknown, by rules that are data.

Bundles hold these very files; the standard library alone.
"""
