"""Bytes on disk to values: images, names, tables, and what may be opened at all; knows nothing of data sets."""
