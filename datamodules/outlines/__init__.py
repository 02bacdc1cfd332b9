"""Outlines of parts and defects: the forms that people label in, polygons, COCO, and targets for instance models."""
