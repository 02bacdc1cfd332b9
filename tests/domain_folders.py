"""What the pages about domains take for granted: folders of drawn images, in the layouts that these pages show."""

from __future__ import annotations

import json
import shutil
from itertools import product
from typing import TYPE_CHECKING

import cv2
import numpy as np

from datamodules.synthetic.domains import Order, defective_image, find_domain, good_image
from datamodules.synthetic.drawing import Identity
from datamodules.synthetic.hard_fiber import draw_hard
from datamodules.synthetic.measured_rings import MeasuredRing
from datamodules.synthetic.meta_atom_array import Flaw, Layout, draw_array
from tests.tools.lines.test_metallography_line import draw as draw_scan
from tests.tools.test_prepare_metallography import draw_mask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from datamodules.synthetic.drawing import Drawing

OUTLINED = 6  # rings of a type
FLAWS = (Flaw("missing", 0.9), Flaw("collapsed", 0.9))


def write(path: Path, values: npt.NDArray[np.uint8]) -> str:
    """Write an image as it was drawn, in RGB or grey, and return its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values if values.ndim == 2 else cv2.cvtColor(values, cv2.COLOR_RGB2BGR))
    return path.name


def drawn(domain: str, size: int, good: int, defective: int) -> Iterator[tuple[int, Order, Drawing]]:
    """Draw images of a domain, good ones first."""
    orders = [good_image(domain, 3, number) for number in range(good)]
    orders += [defective_image(domain, 3, number) for number in range(defective)]
    for number, order in enumerate(orders):
        yield number, order, find_domain(domain).draw(order.identity, size, order.defect, order.severity)


def draw_fiber(here: Path) -> None:
    """Draw faces of two kinds and their labels to ``root``, and the same to ``fiber``."""
    labels = []
    for number in range(36):
        kind = ("core_50um", "core_91um")[number % 2]
        face = draw_hard("plain", Identity(2, "fiber", 3 * number + 1, 0), 288)
        defective = number % 3 == 2
        image = face.drawing.image.copy()
        if defective:
            cv2.circle(image, (round(face.cx) + 30, round(face.cy)), 6, (20, 20, 20), -1)
        name = f"{kind}/{19700101000000 + number}-J{number}.png"
        write(here / "root" / name, image)
        labels.append(f"{name},{'defective' if defective else 'good'}")
    (here / "root" / "labels.csv").write_text("\n".join(["image,label", *labels, ""]), encoding="utf-8")
    shutil.copytree(here / "root", here / "fiber")


def draw_oring(here: Path) -> None:
    """Draw rings of two types with outlined defects to ``root`` and ``raw``; measured ones to ``GOOD`` and ``PATH``."""
    for kind, (good_folder, bad_folder) in {"a": ("model1good", "model1defect"), "b": ("good", "notok")}.items():
        for number, order, drawing in drawn("oring", 160, 2 * OUTLINED, OUTLINED):
            folder = bad_folder if order.defect else good_folder
            stem = f"{kind}{number:03}"
            image = drawing.image if kind == "a" else np.ascontiguousarray(drawing.image[::-1])
            write(here / "root" / "images" / folder / f"{stem}.bmp", image)
            if order.defect:
                height = len(image)
                rings = [
                    [{"x": float(x), "y": float(y if kind == "a" else height - y)} for x, y in ring]
                    for ring in drawing.polygons
                ]
                label = here / "root" / "labels" / folder / f"{stem}_mask.json"
                label.parent.mkdir(parents=True, exist_ok=True)
                label.write_text(json.dumps({"polygons": [{"points": ring} for ring in rings]}), encoding="utf-8")
    shutil.copytree(here / "root", here / "raw")
    for kind, outer in (("model1", 110.0), ("model2", 80.0)):
        for number in range(4):
            ring = MeasuredRing((300, 340), 168.4, 151.7, outer + 0.3 * number, outer - 30 - 0.2 * number, seed=number)
            write(here / "GOOD" / f"{kind}good" / f"{number}.png", ring.draw())
            if number < 2:
                write(here / "PATH" / f"{kind}good" / f"{number}.png", ring.draw())


def draw_meta_atom(here: Path) -> None:
    """Draw four whole arrays to ``arrays``, ``chip_08`` among them, and the classes of their cells."""
    layout = Layout(8, 7, pitch=46)
    lines = []
    for number in range(4):
        flaws = {(row, 1 + (3 * row + number) % 7): FLAWS[row % 2] for row in range(1, 9)}
        name = f"chip_{number + 5:02}"
        write(here / "arrays" / f"{name}.png", draw_array(Identity(22, "meta_atom", number, 0), layout, flaws).image)
        for row, column in product(range(1, 9), range(1, 8)):
            flaw = flaws.get((row, column))
            lines.append(f"{name},{row},{column},{flaw.defect.capitalize() if flaw else 'good'}")
    (here / "arrays" / "labels.csv").write_text("\n".join(["array,row,col,class", *lines, ""]), encoding="utf-8")


def draw_metallography(here: Path) -> None:
    """Draw squares with inclusions, with boundaries drawn in black, whole scans, and binary maps."""
    for number in range(32):
        scan, spots, line = draw_scan(number, 128, 128)
        name = f"{number // 2}-{number % 2}-0.png"
        for folder, mask in (("steel", spots), ("inclusions", spots), ("grains", 255 - line)):
            write(here / folder / "images" / name, scan)
            write(here / folder / "masks" / name, mask)
    for number in range(4):
        scan, spots, _ = draw_scan(100 + number, 150, 203)
        write(here / "scans" / "images" / f"{number}.png", scan)
        write(here / "scans" / "masks" / f"{number}.png", 255 - spots)
        write(here / "MAPS" / f"map{number}.png", 255 - draw_mask(number))


def draw_print3d(here: Path) -> None:
    """Draw layers of machines and jobs to ``prints``, a third of them unlabelled; and a new job to ``LAYERS``."""
    for number, order, drawing in drawn("print3d", 64, 84, 24):
        state = "defective" if order.defect else "good" if number % 3 else "unlabelled"
        place = here / "prints" / state / "machine_1" / f"job_{number % 7}"
        brighter = np.clip(drawing.image.astype(np.int16) + 40 * (number % 3) - 40, 0, 255).astype(np.uint8)
        write(place / f"layer_{number:04}.png", brighter)
    for number, order, drawing in drawn("print3d", 64, 8, 2):
        del order
        write(here / "LAYERS" / "machine_2" / "job_9" / f"layer_{number:04}.png", 255 - drawing.image)
