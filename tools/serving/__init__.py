"""Trained runs and bundles behind HTTP: a page for people, and an interface for programs."""
