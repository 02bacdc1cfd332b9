"""``loupe predict bundle=``: without torch, by the runner that every bundle carries."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tools.errors import ConfigError
from tools.runner import Bundle, BundleError
from tools.runner.owning import new_folder
from tools.runner.predicting import check_call, predict, require_all
from tools.runner.writing import TABLE
from tools.runs.options import ERRORS_EXPECTED, as_list, how_to_go_on, options_of
from tools.runs.tables import verdict_table
from tools.signals import keeping_note

if TYPE_CHECKING:
    from omegaconf import DictConfig


def predict_with_bundle(config: DictConfig) -> Path:
    """Judge every image of ``source`` by a bundle; return the folder of the results.

    Raises:
        ConfigError: The bundle is not whole, or ``out`` holds results of something else.
        DataError: ``source`` names no image, or something could not be judged (``errors=ok`` lets that pass).
    """
    sources, options = as_list(config.source), options_of(config, config.batch_size)
    try:
        bundle = Bundle(
            config.bundle,
            runtime=config.runtime,
            precision=config.precision,
            image_threshold=config.image_threshold,
            pixel_threshold=config.pixel_threshold,
        )
        if bundle.edited:
            print("spec.json was edited after the export: its thresholds are used as they stand now.")
        check_call(bundle, sources, options)
        out = Path(config.out).expanduser() if config.out else new_folder(Path("predictions") / _now())
        model, sha256 = str(Path(config.bundle).expanduser().resolve()), str(bundle.about["spec_sha256"])
        with (
            keeping_note(lambda: how_to_go_on(out)),
            verdict_table(config.table, model, sha256, out.resolve()) as table,
        ):
            summary = predict(bundle, sources, out, options, table)
            print(summary)
    except BundleError as error:
        raise ConfigError(str(error)) from error
    print(f"Predictions {out / TABLE}")
    if summary.page is not None:
        print(f"Page {summary.page}")
    require_all(summary, options, ERRORS_EXPECTED)
    return out


def _now() -> str:
    return datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
