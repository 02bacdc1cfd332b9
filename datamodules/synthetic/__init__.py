"""Synthetic images of all five domains, with their truth: drawn, not downloaded."""

from .domains import DOMAINS, Domain, Order, defective_image, find_domain, good_image
from .drawing import Drawing, DrawingError, Identity
from .write import is_complete, write_dataset

__all__ = [
    "DOMAINS",
    "Domain",
    "Drawing",
    "DrawingError",
    "Identity",
    "Order",
    "defective_image",
    "find_domain",
    "good_image",
    "is_complete",
    "write_dataset",
]
