"""Masks on disk: where they lie, whose they are, and what they mark. Every mask is used, or named."""
