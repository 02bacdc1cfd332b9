"""Whole arrays of meta-atoms, on any lattice, as an optical or a scanning electron microscope shows them.

The pillars and their defects are those of the tiles (see ``meta_atom``). What is drawn here beside them is the lattice:
its rows and columns, its pitch, its angle, staggered rows, and seams, where the shots of a mosaic or two write fields
were joined.

Letters: H and W of the image, N cells, S side of a patch, in pixels. Points are x before y; the image's outer
corner is (0, 0).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from .canvas import blurred, fractal_field, make_camera, rgb, smooth_field, white_noise
from .drawing import Bytes, DrawingError, Floats, Identity, Mask, check_request, floats
from .meta_atom import DEFECTS, Pillar, draw_pillar, shade
from .meta_atom_defects import Patch, spoil

if TYPE_CHECKING:
    from collections.abc import Mapping

Lattice = Literal["square", "hexagonal"]
Contrast = Literal["optical", "sem"]
BORDER = 0.8  # pitches of empty substrate around the outermost pillars
STEEPEST = 40.0  # degrees
MIN_PITCH = 20.0  # pixels


@dataclass(frozen=True)
class Layout:
    """How an array is laid out, and what looks at it.

    Attributes:
        rows: Of pillars.
        columns: Of pillars.
        pitch: Distance of neighbours in a row, in pixels.
        aspect: Distance of rows over that, for ``square`` lattices: 1.2 makes a rectangular one.
        lattice: ``hexagonal`` shifts every second row by half a pitch.
        angle: By how many degrees rows sink to the right.
        contrast: ``optical``: pillars about as bright as the ground, with a dark rim, lit from one side; ``sem``:
            bright pillars with brighter rims on a dark ground, sharp, noisy, in grey.
        seams: Straight seams through the whole array, by turns upright and level.
    """

    rows: int = 21
    columns: int = 21
    pitch: float = 48.0
    aspect: float = 1.0
    lattice: Lattice = "square"
    angle: float = 0.0
    contrast: Contrast = "optical"
    seams: int = 0

    def __post_init__(self) -> None:
        if min(self.rows, self.columns) < 2 or self.pitch < MIN_PITCH or not 0.8 <= self.aspect <= 2:
            raise DrawingError(
                f"Expected at least 2 rows and columns, a pitch of at least {MIN_PITCH:.0f} pixels and an aspect of "
                f"0.8 to 2, got {self.rows} x {self.columns}, {self.pitch} and {self.aspect}."
            )
        if self.lattice not in get_args(Lattice) or self.contrast not in get_args(Contrast):
            raise DrawingError(
                f"Expected lattice to be square or hexagonal and contrast to be optical or sem, got {self.lattice!r} "
                f"and {self.contrast!r}."
            )
        if abs(self.angle) > STEEPEST or self.seams < 0:
            raise DrawingError(
                f"Expected an angle of at most {STEEPEST:.0f} degrees and no fewer than 0 seams, got {self.angle} and "
                f"{self.seams}."
            )

    @property
    def colour(self) -> bool:
        """Whether images have three channels."""
        return self.contrast == "optical"

    def centres(self) -> tuple[npt.NDArray[np.float64], tuple[int, int]]:
        """Return the centre of every cell, row by row, (N, 2), and height and width of the image around them."""
        down = self.pitch * (math.sqrt(0.75) if self.lattice == "hexagonal" else self.aspect)
        row_N, column_N = (index.ravel() for index in np.indices((self.rows, self.columns)))
        shift_N = 0.5 * (row_N % 2) if self.lattice == "hexagonal" else np.zeros(len(row_N))
        straight_N2 = np.stack([(column_N + shift_N) * self.pitch, row_N * down], axis=1)
        cos, sin = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        turned_N2 = straight_N2 @ np.array([[cos, sin], [-sin, cos]])
        border = BORDER * self.pitch
        low_2 = turned_N2.min(axis=0) - border
        width, height = np.ceil(turned_N2.max(axis=0) + border - low_2).astype(int)
        return turned_N2 - low_2, (int(height), int(width))


class Flaw(NamedTuple):
    """A defect of one cell: its name, and its severity, 0 barely visible to 1 gross."""

    defect: str
    severity: float


class Seam(NamedTuple):
    """A seam through the array: between its first ``before`` columns (upright) or rows and the others."""

    upright: bool
    before: int


@dataclass(frozen=True)
class ArrayDrawing:
    """A drawn array and the truth about it.

    Attributes:
        image: (H, W, 3) RGB, or (H, W) grey for ``sem``; uint8.
        mask: (H, W), true where a defect of a cell changed the image.
        centre_N2: Of every cell, row by row.
        flaws: By row and column, counted from one.
        seams: Through the whole array.
        group: Name of the array.
    """

    image: Bytes
    mask: Mask
    centre_N2: npt.NDArray[np.float64]
    flaws: Mapping[tuple[int, int], Flaw]
    seams: tuple[Seam, ...]
    group: str


def draw_array(identity: Identity, layout: Layout, flaws: Mapping[tuple[int, int], Flaw] | None = None) -> ArrayDrawing:
    """Draw an array; one without ``flaws`` is perfect.

    Args:
        identity: Which array; its ``slot`` plays no part.
        layout: Of the array.
        flaws: By row and column, counted from one.

    Raises:
        DrawingError: A flaw lies outside the array, or cannot be drawn.
    """
    flaws = dict(flaws or {})
    for (row, column), flaw in flaws.items():
        check_request(64, flaw.defect, flaw.severity, DEFECTS)
        if not (1 <= row <= layout.rows and 1 <= column <= layout.columns):
            raise DrawingError(
                f"Expected flaws within {layout.rows} rows and {layout.columns} columns, got {row},{column}."
            )
    centre_N2, shape = layout.centres()
    seams, moved_N2 = _lay_seams(identity, layout)
    pillars = [_pillar(identity, slot, layout) for slot in range(len(centre_N2))]
    size = round(layout.pitch / pillars[0].pitch)
    substrate = _substrate(identity, pillars[0], shape, layout)
    shade_HW = np.ones(shape, dtype=np.float32)
    patches = []
    for pillar, centre_2 in zip(pillars, centre_N2 + moved_N2, strict=True):
        patch = Patch.around(pillar, centre_2, size, shape)
        patches.append(patch)
        shade_HW[patch.window] *= shade(patch.pillar, size)[patch.shown]
    scene = substrate * blurred(shade_HW, pillars[0].soft * size)
    mask = np.zeros(shape, dtype=np.bool_)
    for (row, column), flaw in flaws.items():
        slot = (row - 1) * layout.columns + column - 1
        rng = dataclasses.replace(identity, slot=slot).own(flaw.defect)
        mask |= spoil(scene, substrate, shade_HW, patches[slot], flaw.defect, flaw.severity, rng)
    _darken_seams(identity, layout, scene, seams, centre_N2 + moved_N2)
    image = _photograph(identity, layout, scene)
    return ArrayDrawing(image, mask, centre_N2 + moved_N2, flaws, tuple(seams), f"array_{identity.group:04d}")


def scatter(
    identity: Identity,
    layout: Layout,
    share: float,
    severity: tuple[float, float] | Mapping[str, tuple[float, float]] = (0.4, 1.0),
) -> dict[tuple[int, int], Flaw]:
    """Draw lots for the flaws of an array: each cell has one with a probability of ``share``, every defect as likely.

    Args:
        identity: Which array.
        layout: Of the array.
        share: 0 to 1.
        severity: Least and most, of all defects alike or by their names; those that are not named do not occur.
    """
    rng = identity.shared("flaws")
    ends = dict.fromkeys(DEFECTS, severity) if isinstance(severity, tuple) else dict(severity)
    flaws = {}
    for row, column in np.ndindex(layout.rows, layout.columns):
        if rng.random() < share:
            defect = str(rng.choice(tuple(ends)))
            flaws[row + 1, column + 1] = Flaw(defect, float(rng.uniform(*ends[defect])))
    return flaws


def crossed(layout: Layout, seams: tuple[Seam, ...]) -> set[tuple[int, int]]:
    """Return the cells beside a seam, by row and column from one: it runs through the ground between them."""
    return {
        (row + 1, column + 1)
        for row, column in np.ndindex(layout.rows, layout.columns)
        for seam in seams
        if (column if seam.upright else row) in (seam.before - 1, seam.before)
    }


def _pillar(identity: Identity, slot: int, layout: Layout) -> Pillar:
    """Draw lots for one pillar, in the middle of its patch but for a small error of its own."""
    own = dataclasses.replace(identity, slot=slot)
    pillar = draw_pillar(own, 0, 0)
    jitter = own.own("place").normal(0.0, 0.006, 2)
    placed = dataclasses.replace(
        pillar, x=0.5 + float(jitter[0]), y=0.5 + float(jitter[1]), turn=pillar.turn + math.radians(layout.angle)
    )
    if layout.contrast == "optical":
        return placed
    group, noise = identity.shared("sem"), own.own("sem")
    ground = float(group.uniform(0.14, 0.3))
    return dataclasses.replace(
        placed,
        colour=(ground, ground, ground),
        top=float(group.uniform(1.5, 2.2)) * float(noise.uniform(0.98, 1.02)),
        rim=-float(group.uniform(0.5, 1.2)) * float(noise.uniform(0.92, 1.08)),
        soft=float(group.uniform(0.010, 0.018)),
        relief=float(group.uniform(0.0, 0.5)),
    )


def _substrate(identity: Identity, pillar: Pillar, shape: tuple[int, int], layout: Layout) -> Floats:
    """Draw the empty substrate, (C, H, W): one colour, stained a little."""
    rng, (height, width), tile = identity.shared("substrate"), shape, layout.pitch / pillar.pitch
    largest = max(shape)
    stain = 1.0 + 0.012 * fractal_field(rng, largest, tile / 3.0) + 0.006 * smooth_field(rng, largest, tile / 20.0)
    stain = stain[:height, :width]
    if layout.contrast == "sem":
        return floats(stain[None] * pillar.colour[0])
    hue = 0.008 * smooth_field(rng, largest, tile)[:height, :width] * rgb(1.0, 0.0, -1.0)
    return floats((stain + hue) * rgb(*pillar.colour))


def _photograph(identity: Identity, layout: Layout, scene: Floats) -> Bytes:
    noise = 0.007 if layout.colour else 0.03
    camera = make_camera(identity, 64, exposure=0.11, blur=0.6, noise=noise, tilt=0.05)
    if layout.contrast == "sem":  # each line is scanned by itself
        scene = scene * (1.0 + 0.006 * white_noise(identity.shared("lines"), (1, scene.shape[1], 1)))
    return camera.photograph(floats(scene), identity.own("noise"))


def _lay_seams(identity: Identity, layout: Layout) -> tuple[list[Seam], npt.NDArray[np.float64]]:
    """Draw lots for seams, and how far they move every cell, (N, 2): all cells beyond one move alike."""
    rng = identity.shared("seams")
    row_N, column_N = (index.ravel() for index in np.indices((layout.rows, layout.columns)))
    moved_N2, seams = np.zeros((len(row_N), 2)), []
    for number in range(layout.seams):
        upright = number % 2 == 0
        count = layout.columns if upright else layout.rows
        seam = Seam(upright, int(rng.integers(max(count // 4, 1), max(count - count // 4, 2))))
        step = rng.choice([-1.0, 1.0], 2) * rng.uniform(0.04, 0.12, 2) * layout.pitch
        moved_N2[(column_N if upright else row_N) >= seam.before] += np.abs(step) * [upright, not upright] + step * [
            not upright,
            upright,
        ]
        seams.append(seam)
    return seams, moved_N2


def _darken_seams(
    identity: Identity, layout: Layout, scene: Floats, seams: list[Seam], centre_N2: npt.NDArray[np.float64]
) -> None:
    """Draw the line of every seam, and let the light beyond it differ a little, in place."""
    rng = identity.shared("seam lines")
    height, width = scene.shape[1:]
    x, y = np.arange(width)[None, :] + 0.5, np.arange(height)[:, None] + 0.5
    cos, sin = math.cos(math.radians(layout.angle)), math.sin(math.radians(layout.angle))
    grid_RC2 = centre_N2.reshape(layout.rows, layout.columns, 2)
    for seam in seams:
        normal = (cos, sin) if seam.upright else (-sin, cos)
        beside = (
            grid_RC2[:, seam.before - 1 : seam.before + 1]
            if seam.upright
            else (grid_RC2[seam.before - 1 : seam.before + 1])
        )
        place = float((beside.reshape(-1, 2) @ np.array(normal)).mean())
        away = x * normal[0] + y * normal[1] - place
        line = np.exp(-((away / 0.8) ** 2)) * rng.uniform(0.06, 0.14)
        beyond = np.clip(away + 0.5, 0.0, 1.0) * rng.choice([-1.0, 1.0]) * rng.uniform(0.01, 0.04)
        scene *= floats((1.0 - line) * (1.0 + beyond))
