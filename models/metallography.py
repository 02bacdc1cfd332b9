"""The metallographic chain: one network marks inclusions, they are painted over, and another marks grain boundaries.

Both networks come from runs of their own, and nothing is trained here but what every model has: thresholds. Scans may
have any size and are judged at it, as the line judges them: large ones by tiles that overlap.

Letters: B batch, H and W pixels.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import torch
from anomalib.data import InferenceBatch
from torch import nn

from datamodules.enhancing.enhancement import Enhancement, read_enhancement
from datamodules.files.fitting import OWN, Fit, require_fit

from .base import InspectionModel  # noqa: TC001 - as above
from .components.inpainting import Method  # noqa: TC001 - arguments are checked against annotations
from .components.padding import SeesPadding
from .components.painting import enhanced, painted
from .components.pooling import check_share, top_mean
from .components.scan_tiles import STRIDE, ScanTiles
from .export_plan import INCLUSIONS, MODEL, ExportPlan, Graph
from .one_pass import OnePassModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from datamodules.samples.supervision import Supervision

Marks: TypeAlias = Literal["boundary", "inclusion"]

TILE = ScanTiles().size


class MetallographyModel(SeesPadding):
    """Both networks, one after the other.

    Args:
        inclusions: Marks inclusions.
        boundaries: Marks grain boundaries.
        threshold: Raw value from which ``inclusions`` marks a pixel.
        method: How inclusions are painted over.
        enhancements: Of ``inclusions`` and of ``boundaries``.
        multiples: Of both sides of what each network takes.
        marks: Whose map is returned.
        tile: Side of the tiles of large scans, in pixels.
        top_share: Share of the pixels whose mean is the score.
    """

    def __init__(
        self,
        inclusions: nn.Module,
        boundaries: nn.Module,
        threshold: float,
        method: Method,
        enhancements: tuple[Enhancement, Enhancement],
        multiples: tuple[int, int],
        marks: Marks,
        tile: int,
        top_share: float,
    ) -> None:
        super().__init__()
        self.inclusions = inclusions
        self.boundaries = boundaries
        self.threshold = threshold
        self.method: Method = method
        self.enhancements = enhancements
        self.tiles = [ScanTiles(size=tile, multiple=multiple) for multiple in multiples]
        self.marks: Marks = marks
        self.top_share = top_share

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        """Score images: raw ``anomaly_map`` (B, H, W) of what is marked, and the mean of its highest (B,)."""
        image_B3HW, inside_BHW = self.open(image_B3HW)
        map_BHW = self.stage(0, image_B3HW)
        if self.marks == "boundary":
            over = painted(_numpy(image_B3HW), _numpy(map_BHW), self.threshold, self.method)
            map_BHW = self.stage(1, torch.from_numpy(over).to(image_B3HW.device))
        return InferenceBatch(pred_score=top_mean(map_BHW, self.top_share, inside_BHW), anomaly_map=map_BHW)

    def stage(self, index: int, image_B3HW: Tensor) -> Tensor:
        """Return the raw map (B, H, W) of the first (0) or the second network (1)."""
        network, device = (self.inclusions, self.boundaries)[index], image_B3HW.device

        def raw(part_K3hw: Any) -> Any:
            found: InferenceBatch = network(torch.from_numpy(part_K3hw).to(device))
            if found.anomaly_map is None:
                raise TypeError("Expected a map of every image, but the network returned none.")
            return _numpy(found.anomaly_map).reshape(-1, *part_K3hw.shape[2:])

        image = enhanced(_numpy(image_B3HW), self.enhancements[index])
        return torch.from_numpy(self.tiles[index].judge(image, raw)).to(device)


class Metallography(OnePassModel):
    """Two runs as one model, for scans of any size.

    ``loupe train model=metallography model.inclusions=RUN model.boundaries=RUN`` takes the networks of both runs, with
    their thresholds and enhancements, into a run of its own: its checkpoint needs neither any more.

    Args:
        inclusions: Of the run that marks inclusions: ``loupe train`` puts it in the place of the run's name.
        boundaries: Of the run that marks grain boundaries.
        inclusion_threshold: Raw value from which a pixel is an inclusion; None: that of the run, which ``loupe train``
            puts in.
        enhance: What the ``data.enhance`` of each run did to its images, by ``inclusions`` and ``boundaries``.
        taken_from: Where both came from.
        marks: What the map and the masks of the data mark: ``boundary``, of the scan without its inclusions; or
            ``inclusion``.
        inpaint: How inclusions are painted over: ``navier_stokes``, ``biharmonic`` or ``telea``.
        fit: What ``data.fit`` is where nobody sets it: ``own``, by which every scan is judged at its own size. That
            of the data is what counts.
        tile: Side of the tiles that scans of more than eight of them are cut to, in pixels.
        top_share: Share of the pixels, the highest, whose mean is the score.

    Raises:
        ValueError: An argument is out of range.
    """

    supervision: ClassVar[Supervision] = "masks"
    monitor: ClassVar[str] = "calibration/pixel_objective"
    not_exportable: ClassVar[str] = "its stages are graphs of their own; a bundle puts them together"
    takes_any_size: ClassVar[bool] = True

    def __init__(
        self,
        inclusions: InspectionModel,
        boundaries: InspectionModel,
        inclusion_threshold: float | None = None,
        enhance: dict[str, Any] | None = None,
        taken_from: dict[str, str] | None = None,
        marks: Marks = "boundary",
        inpaint: Method = "navier_stokes",
        fit: Fit = OWN,
        tile: int = TILE,
        top_share: float = 0.001,
    ) -> None:
        super().__init__()
        # Both parts would be pickled into checkpoints as hyper-parameters; the config of the run says all there is.
        self.hparams.clear()
        self.save_hyperparameters({}, logger=False)
        require_fit(fit)
        if tile < 64:
            raise ValueError(f"Expected model.tile to be at least 64 pixels, but found {tile}.")
        if inclusion_threshold is None or not math.isfinite(inclusion_threshold):
            raise ValueError(
                f"Expected model.inclusion_threshold to be a finite number, but found {inclusion_threshold}; name a "
                "run by model.inclusions=RUN."
            )
        check_share(top_share, "model.top_share")
        self.taken_from = taken_from or {}
        self.model: MetallographyModel = MetallographyModel(
            inclusions.model,
            boundaries.model,
            inclusion_threshold,
            inpaint,
            (_enhancement(enhance, "inclusions"), _enhancement(enhance, "boundaries")),
            (math.lcm(inclusions.size_multiple, STRIDE), math.lcm(boundaries.size_multiple, STRIDE)),
            marks,
            tile,
            top_share,
        )
        self.parts = {"inclusions": inclusions, "boundaries": boundaries}  # a plain dict, lest weights are kept twice

    def take_parts(self, trained: Mapping[str, InspectionModel]) -> None:
        """Take the tensors of the trained models of both parts."""
        for key, part in trained.items():
            self.parts[key].model.load_state_dict(part.model.state_dict())

    def origin(self) -> dict[str, str]:
        """Say where the weights of both came from; those of the second under ``boundaries_*``."""
        first, second = (part.origin() for part in self.parts.values())
        return first | {f"boundaries_{name}": value for name, value in second.items()}

    def export_plan(self, size: tuple[int, int]) -> ExportPlan:
        """Plan a graph for each network: for images of any size where they come so, and for those of one size else.

        Raises:
            ValueError: Inclusions are painted over as no runner can.
        """
        model = self.model
        if model.method == "biharmonic":
            raise ValueError(
                "Expected model.inpaint to be navier_stokes or telea for a bundle, which brings no scikit-image, but "
                "found biharmonic; train again with another, which takes no longer than a test."
            )
        stages = [
            {"scans": asdict(tiles), "enhance": enhancement.to_plain()}
            for tiles, enhancement in zip(model.tiles, model.enhancements, strict=True)
        ]
        rules = {"threshold": model.threshold, "inpaint": model.method, "marks": model.marks}
        return ExportPlan(
            {"kind": "chain", "stages": stages, "top_share": model.top_share, **rules},
            {
                name: Graph(network, multiple=tiles.multiple)
                if self.own_sizes
                else Graph(network, size=tiles.given(*size))
                for name, network, tiles in (
                    (MODEL, model.boundaries, model.tiles[1]),
                    (INCLUSIONS, model.inclusions, model.tiles[0]),
                )
            },
        )

    def collect(self, image_B3HW: Tensor) -> None:
        """Keep nothing: both networks were trained before."""

    def fit(self) -> None:
        """Do nothing: there is nothing to fit."""


def _enhancement(enhance: dict[str, Any] | None, name: str) -> Enhancement:
    """Read what one of the runs did to its images."""
    plain = (enhance or {}).get(name) or Enhancement().to_plain()
    return read_enhancement(plain["entries"], plain["mode"])


def _numpy(values: Tensor) -> Any:
    return values.detach().float().cpu().numpy()
