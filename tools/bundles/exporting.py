"""The heavy half of ``loupe export``: write every form, compare, and only then call it a bundle."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import replace
from itertools import cycle, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from callbacks.decisions.calibration import calibration_of
from datamodules.files.made_folders import make_folder
from datamodules.progress import working
from datamodules.table import CALIBRATION
from models.components.face_cuts import cut_face
from tools.errors import ConfigError
from tools.runner.composition import INPUT, LAYERED, SEARCHED
from tools.runner.face_parts import how_of
from tools.runner.searching import array_file
from tools.runner.self_check import EXPECTED, SAMPLES
from tools.runner.specification import BY_KIND, CLOUD_FILE, SPEC
from tools.runner.tiles import cut
from tools.runs.checkpoint import read_checkpoint, restore
from tools.runs.run_files import ENVIRONMENT, METRICS, SHARED
from tools.runs.run_folder import RunFolder
from tools.runs.trained import members_of

from .agreement import TOLERANCES
from .calibration_images import find_calibration_images
from .card import write_card
from .challenges import huge_for, write_challenges
from .compared_images import images_of_calibration, images_of_challenges, write_values
from .composing import composition_of, plan_of
from .good_images import write_good
from .graphs import write_forms, write_safetensors
from .parity import compare, conclude, require_parity
from .shipping import load_runner, write_checksums, write_runner, write_zip
from .spec import describe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

    from callbacks.statistics.cloud import Cloud
    from datamodules.base import InspectionDataModule
    from models.base import InspectionModel
    from models.export_plan import Graph
    from tools.runs.trained import Trained

    from .calibration_images import CalibrationImages
    from .compared_images import ComparedImage

QUANTISED_ON = 300  # calibration images at most: what NNCF itself takes


def export(trained: Trained) -> Path:
    """Export a run, or all models of a training by kind as one bundle; return the bundle's folder.

    Raises:
        ConfigError: The checkpoint or a value of the config is not usable.
        DataError: There are no calibration images, or the bundle disagrees with the checkpoint.
    """
    members = members_of(trained)
    if not members or trained.folder is None:
        return export_model(trained)
    out = output_folder(trained)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as work:
        places = {}
        for number, (kind, member) in enumerate(members.items(), start=1):
            print(kind)
            member.config.out, places[kind] = str(Path(work) / str(number)), f"kinds/{number}"
            export_model(member)
        print("all kinds")
        out = export_model(trained._replace(folder=RunFolder(trained.folder.path / SHARED)), out)
        for number, place in enumerate(places.values(), start=1):
            (out / "kinds").mkdir(exist_ok=True)
            shutil.move(str(Path(work) / str(number)), out / place)
    write_json(out / BY_KIND, {"own": places, "finder": trained.folder.read_json(BY_KIND).get("finder")})
    expect_anew(out)
    write_checksums(out)
    write_zip(out)
    return out


def export_model(trained: Trained, out: Path | None = None) -> Path:
    """Export one model; return the bundle's folder.

    Nothing is left in place of the bundle unless it agrees with the checkpoint.

    Raises:
        ConfigError: The checkpoint or a value of the config is not usable.
        DataError: There are no calibration images, or the bundle disagrees with the checkpoint.
    """
    config = trained.config
    out = out or output_folder(trained)
    module = restore(read_checkpoint(trained.checkpoint)).eval()
    if not calibration_of(module).calibrated:
        raise ConfigError("Expected a calibrated run, but its calibration never ran; train again.")
    height, width = config.data.image_size
    composition = composition_of(module, (height, width))  # refuses what cannot be exported before anything is read
    images = find_calibration_images(trained)
    datamodule = images.datamodule
    part = out.with_name(f".{out.name}.{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()  # by itself, since a temporary folder would keep colleagues out
    try:
        with tempfile.TemporaryDirectory() as work:
            compared = images_of_calibration(datamodule, config.pictures, Path(work) / "views")
            huge = huge_for(composition, own_sizes=module.own_sizes)
            challenges = write_challenges(Path(work) / "challenges", huge=huge)
            compared += images_of_challenges(challenges, datamodule.reading)
            fill(part, trained, module, images, composition)
            runner = load_runner(part)
            parity = conclude(compare(module, part, compared, runner))
            write_json(part / "parity.json", parity)
            evidence = out.with_name(f"{out.name}.parity.json")
            if not parity["passed"]:
                write_json(evidence, parity)  # all that is left of it
            require_parity(parity, evidence)
            write_good(part, datamodule, config.good)
            add_evidence(part, runner, compared, config.samples, parity, images.notes)
        part.replace(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    archive = write_zip(out)
    for form in parity["forms"]:
        print(
            f"{form['form']}: score error {form['score_error']:.1e}, map error {form['map_error']:.1e}, "
            f"{len(form['flips'])} of {form['pictures']} verdicts differ"
        )
    print(f"Bundle {out}, {archive.stat().st_size / 1e6:.1f} MB as {archive.name}")
    return out


def output_folder(trained: Trained) -> Path:
    """Say where the bundle goes.

    Raises:
        ConfigError: Something is there already.
    """
    base = trained.folder.path if trained.folder is not None else trained.checkpoint.resolve().parent
    out = Path(trained.config.out).expanduser().resolve() if trained.config.out else base / "bundle"
    if out.exists():
        raise ConfigError(f"Expected a new folder for the bundle, but {out} exists; delete it, or set out=FOLDER.")
    try:
        make_folder(out.parent, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"Expected out to be a folder to write to, but {out}: {error.strerror}.") from error
    return out


def fill(
    folder: Path,
    trained: Trained,
    module: InspectionModel,
    calibration_images: CalibrationImages,
    composition: Mapping[str, Any],
) -> None:
    """Write all that is judged: graphs, spec, runner, checksums."""
    config, datamodule = trained.config, calibration_images.datamodule
    precisions = [name for name in TOLERANCES if name in {"fp32", *config.precisions}]
    with working("writing graphs"):
        tiles = composition.get("tiles")
        whole = datamodule.reading.height, datamodule.reading.width
        size = (tiles["size"], tiles["size"]) if tiles else whole
        images = quantisation_images(datamodule, tiles) if "int8" in precisions else []
        plan = plan_of(module, whole)
        graphs, cloud = describing(plan.graphs, calibration_of(module).cloud)
        forms = write_forms(graphs, size, folder, precisions, images)
        for name, values in plan.arrays.items():
            np.save(folder / array_file(name), values, allow_pickle=False)
        write_safetensors(module.model, folder / "model.safetensors", {"model": str(config.model["_target_"])})
    evidence = {
        "metrics": {} if trained.tested is None else trained.tested.read_json(METRICS),
        "environment": {} if trained.folder is None else trained.folder.read_json(ENVIRONMENT),
        "epoch": read_checkpoint(trained.checkpoint).epoch if module.has_epochs else None,
    }
    spec = describe(module, config, calibration_images, forms, composition, evidence, cloud)
    if cloud is not None:
        write_json(folder / CLOUD_FILE, cloud.to_dict())
    write_json(folder / SPEC, spec)
    merging = spec["defects"]["rules"]["merge_gap"] > 0
    kind = spec["composition"]["kind"]
    write_runner(folder, merging=merging, arrays=kind == LAYERED, searching=kind == SEARCHED)
    write_checksums(folder)


def describing(graphs: Mapping[str, Graph], cloud: Cloud | None) -> tuple[dict[str, Graph], Cloud | None]:
    """Let graphs describe images where it is known how usual ones are described, and the other way round."""
    if cloud is None or not any(graph.describe for graph in graphs.values()):
        return {name: replace(graph, describe=None) for name, graph in graphs.items()}, None
    return dict(graphs), cloud


def quantisation_images(datamodule: InspectionDataModule, tiles: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Collect inputs of the graph from calibration images: whole ones, or one tile or the face of each."""
    dataset = datamodule.dataset(datamodule.split_samples(CALIBRATION).head(QUANTISED_ON))
    images = [dataset[index].image.numpy()[None] for index in range(len(dataset))]
    if tiles is not None and "face" in tiles:
        images = [cut_face(image[0], how_of(tiles)).image(image[0])[None] for image in images]
    elif tiles is not None:
        places = cycle(product(tiles["rows"], tiles["columns"]))
        images = [cut(image, place, tiles["size"]) for image, place in zip(images, places, strict=False)]
    return [{INPUT: image} for image in images]


def add_evidence(
    folder: Path,
    runner: ModuleType,
    images: Sequence[ComparedImage],
    count: int,
    parity: dict[str, Any],
    notes: Sequence[str],
) -> None:
    """Add samples with what is expected of them, and the model card; renew the checksums."""
    bundle = runner.Bundle(folder)
    chosen = choose_samples([image for image in images if image.label_index >= 0] or list(images), count)
    (folder / SAMPLES).mkdir()
    expected = {}
    for index, image in enumerate(chosen):
        label = {0: "good", 1: "defective"}.get(image.label_index, "unknown")
        path = write_values(folder / SAMPLES / f"{index:02}_{label}", image.values())
        result = bundle(path)
        expected[path.name] = {
            "score": result.score,
            "threshold": result.threshold,
            "verdict": result.verdict,
            "kind": "",
        }
    low, high = parity["forms"][0]["score_range"]
    tolerance = TOLERANCES["fp32"].score or 0.0
    write_json(folder / EXPECTED, {"score_tolerance": tolerance * max(high - low, abs(high)), "samples": expected})
    spec = json.loads((folder / SPEC).read_text(encoding="utf-8"))
    (folder / "MODEL_CARD.md").write_text(write_card(spec, parity, notes), encoding="utf-8")
    write_checksums(folder)


def expect_anew(folder: Path) -> None:
    """Note what is expected of the samples once kinds have models of their own."""
    bundle = load_runner(folder).Bundle(folder)
    about = json.loads((folder / EXPECTED).read_text(encoding="utf-8"))
    for name, sample in about["samples"].items():
        result = bundle(folder / SAMPLES / name)
        sample.update({"score": result.score, "threshold": result.threshold, "verdict": result.verdict})
    write_json(folder / EXPECTED, about)


def choose_samples(images: Sequence[ComparedImage], count: int) -> list[ComparedImage]:
    """Choose samples: half of them defective where there are any, evenly over the rest."""
    defective = [image for image in images if image.label_index == 1][: count // 2]
    good = [image for image in images if image.label_index != 1][: count - len(defective)]
    return good + defective


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write plain values."""
    path.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", encoding="utf-8")
