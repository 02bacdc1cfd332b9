"""Unlabelled images to square crops of great variety, from a seed: what a feature network learns from.

A crop is cut from an image, or from one drawn by rule, at any angle and a random scale; its light and sharpness vary;
at times a patch of another crop is pasted in, because a network that shall notice foreign things has to see some.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.errors import DataError
from datamodules.files.images import read_image, resize, scale, to_rgb
from datamodules.files.suffixes import is_image
from datamodules.progress import track

from .procedural import RgbImage, draw_image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SCALE_RANGE = (0.5, 4.0)  # side of the cut square over side of the crop: twice enlarged to four times shrunk


def read_images(
    folders: Sequence[str | Path], longest_side: int = 768, limit: int | None = None
) -> dict[str, list[RgbImage]]:
    """Read every image at or below ``folders`` once, as RGB uint8 (H, W, 3), shrunk to at most ``longest_side``.

    Args:
        folders: Where to look.
        longest_side: In pixels.
        limit: At most so many of each folder, spread evenly over it; None: all.

    Returns:
        The images of each folder, in the order of their paths.

    Raises:
        DataError: A folder is missing or holds no image, or an image has no 8- or 16-bit values.
    """
    paths = {str(folder): _spread(image_paths(folder), limit) for folder in folders}
    todo = [(folder, path) for folder, found in paths.items() for path in found]
    images: dict[str, list[RgbImage]] = {folder: [] for folder in paths}
    for folder, path in track(todo, "reading pictures"):
        images[folder].append(_read_rgb(path, longest_side))
    return images


def image_paths(folder: str | Path) -> list[Path]:
    """List the images at or below ``folder``, sorted by path."""
    found = sorted(path for path in Path(folder).rglob("*") if is_image(path) and path.is_file())
    if not found:
        raise DataError(f"Expected {folder} to be a folder with pictures, found none; check the path.")
    return found


def hold_out(
    images: Mapping[str, Sequence[RgbImage]], share: float = 0.05
) -> tuple[dict[str, list[RgbImage]], dict[str, list[RgbImage]]]:
    """Split every folder into images to learn from and the last ``share`` of it (at least one) to watch.

    The last ones by name, not a random draw: neighbours in name are often neighbours in time, nearly the same image.
    A folder of a single image is only learnt from.
    """
    cut = {
        name: len(some) - (max(1, round(share * len(some))) if len(some) > 1 else 0) for name, some in images.items()
    }
    learnt = {name: list(some[: cut[name]]) for name, some in images.items()}
    watched = {name: list(some[cut[name] :]) for name, some in images.items() if cut[name] < len(some)}
    return learnt, watched


@dataclass(frozen=True)
class CropSource:
    """An endless supply of crops; what is drawn depends on the arguments and the seed alone.

    Attributes:
        images: RGB images by folder. A folder's chance grows with the root of its size, so that neither the one
            with twelve images nor the one with four hundred decides alone. May be empty where ``drawn_share`` is 1.
        size: Side of a crop in pixels.
        drawn_share: Share of crops from images drawn by rule.
        patch_share: Share of crops with a pasted patch of another crop.
    """

    images: Mapping[str, Sequence[RgbImage]]
    size: int = 192
    drawn_share: float = 0.35
    patch_share: float = 0.3

    def __post_init__(self) -> None:
        """Refuse a source that could never draw."""
        if not any(self.images.values()) and self.drawn_share < 1:
            raise DataError("Expected pictures to crop, found none; name folders with pictures or set drawn_share=1.")

    def draw(self, count: int, seed: Sequence[int]) -> RgbImage:
        """Draw ``count`` crops (count, size, size, 3), RGB uint8; the same ones for the same ``seed``."""
        rng = np.random.default_rng(list(seed))
        return np.stack([self._crop(rng) for _ in range(count)])

    def _crop(self, rng: np.random.Generator) -> RgbImage:
        crop = self._cut(rng)
        if rng.random() < self.patch_share:
            crop = paste_patch(crop, self._cut(rng), rng)
        return crop

    def _cut(self, rng: np.random.Generator) -> RgbImage:
        if rng.random() < self.drawn_share:
            image = draw_image(self.size, rng)
        else:
            image = cut_square(self._pick(rng), self.size, rng)
        return vary_light(image, rng)

    def _pick(self, rng: np.random.Generator) -> RgbImage:
        folders = [some for some in self.images.values() if some]
        weights = np.sqrt([len(some) for some in folders])
        folder = folders[int(rng.choice(len(folders), p=weights / weights.sum()))]
        return folder[int(rng.integers(len(folder)))]


def cut_square(image: RgbImage, size: int, rng: np.random.Generator) -> RgbImage:
    """Cut a square of random place, scale, aspect, angle and handedness, and resample it to ``size`` pixels.

    It is enlarged by at most 2 and shrunk by at most 4. Where it reaches over the edge the image is mirrored, so that
    a small tile becomes an array of tiles rather than a blur.
    """
    height, width = image.shape[:2]
    narrowest, widest = _SCALE_RANGE[0] * size, float(np.clip(min(height, width), size, _SCALE_RANGE[1] * size))
    side = np.exp(rng.uniform(np.log(narrowest), np.log(widest)))
    cx, cy = (rng.uniform(min(side, extent) / 2, extent - min(side, extent) / 2) for extent in (width, height))
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.6 else rng.integers(4) * np.pi / 2
    zoom = side / size * np.exp(rng.uniform(-0.15, 0.15) * np.array([1.0, -1.0]))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * zoom
    turn[:, 0] *= rng.choice([-1.0, 1.0])
    middle = (size - 1) / 2
    to_image = np.hstack([turn, (np.array([cx - 0.5, cy - 0.5]) - turn @ [middle, middle])[:, None]])
    shrinks = float(zoom.mean()) > 1.5
    source = cv2.GaussianBlur(image, (0, 0), 0.4 * float(zoom.mean())) if shrinks else image  # no moire
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cut = cv2.warpAffine(source, to_image, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return cut.astype(np.uint8, copy=False)


def vary_light(image: RgbImage, rng: np.random.Generator) -> RgbImage:
    """Vary gamma, contrast, brightness and colour balance, at times blur, add noise, invert or drop the colour."""
    x: npt.NDArray[np.float32] = image.astype(np.float32) / np.float32(255)
    if rng.random() < 0.2:
        x = np.repeat(x.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() < 0.1:
        x = 1 - x
    if rng.random() < 0.25:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 2.0)).astype(np.float32, copy=False)
    x = x ** np.float32(np.exp(rng.normal(0, 0.25)))
    balance = np.exp(rng.normal(0, 0.06, 3)) if rng.random() < 0.5 else np.ones(3)
    gain, middle = np.exp(rng.normal(0, 0.25)), x.mean()
    x = (x - middle) * (gain * balance).astype(np.float32) + np.float32(middle + rng.normal(0, 0.08))
    if rng.random() < 0.3:
        x = x + rng.uniform(0, 0.06) * rng.standard_normal(x.shape, dtype=np.float32)
    varied: RgbImage = np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8)
    return varied


def paste_patch(crop: RgbImage, other: RgbImage, rng: np.random.Generator) -> RgbImage:
    """Paste a rectangle or a random polygon of ``other`` into ``crop``, at the same place, hard or soft at the edge.

    CutMix (Yun et al., ICCV 2019) without labels.
    """
    size = crop.shape[0]
    mask = np.zeros((size, size), np.float32)
    reach = np.exp(rng.uniform(np.log(3), np.log(size / 2.5), 2))
    centre = rng.uniform(0, size, 2)
    turn = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(4, 10))))
    outline = centre + reach * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    cv2.fillPoly(mask, [outline.astype(np.int32)], rng.uniform(0.4, 1.0))
    if rng.random() < 0.5:
        mask = cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 4.0)).astype(np.float32)
    mixed = crop + mask[..., None] * (other.astype(np.float32) - crop)
    pasted: RgbImage = np.rint(mixed).astype(np.uint8)
    return pasted


def _spread(paths: Sequence[Path], limit: int | None) -> Sequence[Path]:
    """Choose at most ``limit`` of some paths, evenly."""
    if limit is None or len(paths) <= limit:
        return paths
    return [paths[index * len(paths) // limit] for index in range(limit)]


def _read_rgb(path: Path, longest_side: int) -> RgbImage:
    values = read_image(path)
    if values.dtype == np.float32:
        raise DataError(f"Expected {path} to hold 8- or 16-bit values, found floating point; convert it first.")
    rgb = to_rgb(scale(values))
    factor = min(1.0, longest_side / max(rgb.shape[:2]))
    small = resize(rgb, max(1, round(rgb.shape[0] * factor)), max(1, round(rgb.shape[1] * factor)))
    return small if small.dtype == np.uint8 else np.rint(small * 255).astype(np.uint8)
