"""From a batch of images to raw scores and maps, by one graph, or by several that work together.

Letters: B batch, H and W height and width of the model's images.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from datamodules.files.fitting import inside_of

from .chain import judge_chain
from .face_parts import judge_faces
from .instances import judge_instances
from .layered import judge_layered
from .result import Prediction
from .searching import BANK, PATCHES, SQUARES, Searching
from .self_reference import judge_alone
from .specification import BundleError
from .tiles import judge_tiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from callbacks.statistics.cloud import Cloud
    from datamodules.samples.detections import Detections

    from .network import Array, Graph

INPUT, SCORE, MAP, EMBEDDING = "image", "score", "map", "embedding"
MODEL, SCREENING, INCLUSIONS, SCORES = "model", "screening", "inclusions", "scores"
SINGLE, INSTANCES, HYBRID, ALONE = "single", "instances", "hybrid", "self_reference"
LAYERED, CHAIN, SEARCHED = "layered", "chain", "searched"


def compose(
    spec: dict[str, Any], graphs: dict[str, Graph], arrays: dict[str, Array], threads: int | None
) -> Callable[[Array], Prediction]:
    """Say how the graphs of a bundle make a prediction: by the composition that its ``spec.json`` names.

    * ``single``: one graph, from a batch of images to scores and maps.
    * ``instances``: one graph, from one image to boxes and the masks in them, which are laid onto the image here.
    * ``hybrid``: a single one screens; an instance graph inspects the images that reach its threshold.
    * ``self_reference``: no graph; every image is judged by a model of itself.
    * ``chain``: one graph marks inclusions, which are painted over here before another marks boundaries.
    * ``layered``: no graph; every cell of an array is judged by the standards of the training arrays.
    * ``searched``: one graph describes patches, their nearest in a bank are found here, and another scores.

    Where it names ``tiles``, the graphs judge tiles, or faces cut out about their axis, which are put together here.

    Args:
        spec: The content of ``spec.json``.
        graphs: By name.
        arrays: That the composition names, by name.
        threads: Of what is computed here; None: as many as there are.

    Raises:
        BundleError: This runner knows no such composition, or a package is missing.
    """
    composition = spec["composition"]
    known: dict[str, Callable[[dict[str, Any], dict[str, Graph], Array], Prediction]]
    known = {SINGLE: _single, INSTANCES: _instances, HYBRID: _hybrid, ALONE: _alone, LAYERED: _layered, CHAIN: _chain}
    if composition["kind"] == SEARCHED:
        known[SEARCHED] = partial(_searched, Searching(arrays[BANK], threads))
    if composition["kind"] not in known:
        raise BundleError(
            f"Expected a composition that this runner knows, but found {composition['kind']!r}; use the runner that "
            "lies in the bundle itself."
        )
    judge = partial(known[composition["kind"]], composition, graphs)
    if not composition.get("tiles"):
        return judge
    parts = judge_faces if "face" in composition["tiles"] else judge_tiles
    return partial(parts, composition["tiles"], judge)


def compose_distances(judge: Callable[[Array], Prediction], cloud: Cloud | None) -> Callable[[Array], Prediction]:
    """Say how far out images lie by the embeddings that a graph gives; nothing where it gives none."""

    def measure(image_B3HW: Array) -> Prediction:
        found = judge(image_B3HW)
        if cloud is None or found.embedding_BD is None:
            return found
        return found._replace(distance_B=cloud.distances(found.embedding_BD))

    return measure


def compose_views(spec: dict[str, Any], graphs: dict[str, Graph]) -> Callable[[Array], dict[str, Array]] | None:
    """Say how the graph of a bundle shows what it went by; None where it does not, as where it judges tiles."""
    composition = spec["composition"]
    names = composition.get("views", [])
    if not names or composition.get("tiles"):
        return None

    def views(image_B3HW: Array) -> dict[str, Array]:
        found = graphs[MODEL]({INPUT: image_B3HW})
        return {name: found[name] for name in names}

    return views


def _single(composition: dict[str, Any], graphs: dict[str, Graph], image_B3HW: Array) -> Prediction:
    del composition
    found = graphs[MODEL]({INPUT: image_B3HW})
    return Prediction(found[SCORE], found[MAP], embedding_BD=found.get(EMBEDDING))


def _searched(
    search: Searching, composition: dict[str, Any], graphs: dict[str, Graph], image_B3HW: Array
) -> Prediction:
    del composition
    described = graphs[MODEL]({INPUT: image_B3HW})
    embedding_BD = described.pop(EMBEDDING, None)
    found = graphs[SCORES]({**described, SQUARES: search(described[PATCHES])})
    return Prediction(found[SCORE], found[MAP], embedding_BD=embedding_BD)


def _alone(composition: dict[str, Any], graphs: dict[str, Graph], image_B3HW: Array) -> Prediction:
    del graphs
    return judge_alone(composition, image_B3HW)


def _layered(composition: dict[str, Any], graphs: dict[str, Graph], image_B3HW: Array) -> Prediction:
    del graphs
    return judge_layered(composition, image_B3HW)


def _chain(composition: dict[str, Any], graphs: dict[str, Graph], image_B3HW: Array) -> Prediction:
    first, second = (partial(_single, composition, {MODEL: graphs[name]}) for name in (INCLUSIONS, MODEL))
    return judge_chain(composition, first, second, image_B3HW)


def _instances(composition: dict[str, Any], graphs: dict[str, Graph], image_B3HW: Array) -> Prediction:
    size = image_B3HW.shape[2], image_B3HW.shape[3]
    found = [graphs[MODEL]({INPUT: image_B3HW[[index]]}) for index in range(len(image_B3HW))]
    insides = inside_of(image_B3HW)
    laid = [judge_instances(entry, size, composition, inside) for entry, inside in zip(found, insides, strict=True)]
    return Prediction(
        np.stack([score for score, _, _ in laid]),
        np.stack([map_HW for _, map_HW, _ in laid]),
        [detections for _, _, detections in laid],
    )


def _hybrid(composition: dict[str, Any], graphs: dict[str, Graph], image_B3HW: Array) -> Prediction:
    screened = graphs[SCREENING]({INPUT: image_B3HW})
    screened_B = screened[SCORE]
    suspicious = np.flatnonzero(screened_B >= np.float32(composition["screening_threshold"]))
    count, _, height, width = image_B3HW.shape
    score_B = np.full(count, composition["passed"], np.float32)
    map_BHW = np.zeros((count, height, width), np.float32)
    detections: list[Detections] = [[] for _ in range(count)]
    if len(suspicious):
        found = _instances(composition, graphs, image_B3HW[suspicious])
        score_B[suspicious], map_BHW[suspicious] = found.score_B, found.map_BHW
        for index, entry in zip(suspicious, found.detections or [], strict=True):
            detections[index] = entry
    return Prediction(score_B, map_BHW, detections, embedding_BD=screened.get(EMBEDDING))
