"""``loupe predict``: verdicts on files, folders, globs, archives and videos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from configs import CONFIG_DIR
from datamodules.progress import working

from .command import HELP_FLAGS, help_text, print_config, run_verb
from .configuring.config import apply_overrides, parse_overrides, require_values
from .errors import ConfigError
from .lines.line import ACCEPTANCE, GROUP, compose_line, line_keys, named_line, names_line, run_line
from .runs.run_state import warn_of_unfinished
from .runs.trained import find_trained

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LARGEST = 3.4028234663852886e38  # that float32 holds: nothing reaches a threshold beyond it
WHICH = ("defective", "all", "none")
ERRORS = ("fail", "ok")
EPILOG = """examples:
  loupe predict latest PATH               # or RUN, or BUNDLE; loupe runs lists what there is
  loupe predict run=runs/fiber-patchcore/2026-01-31_12-00-00 source=PATH
  loupe predict run=best.ckpt 'source=[a.png, pictures/*.jpg]' overlay=all
  loupe predict line=meta_atom source=ARRAYS out=sorted
  loupe predict bundle=bundles/fiber source=line.mp4 every=10 out=predictions/line

An image that cannot be judged becomes a row that says why; the others go on, and the exit status is 1.
With out=FOLDER, the same command again goes on where one was interrupted."""


LINE_EPILOG = """examples:
  loupe predict line={line} source=PATH out=FOLDER

An image that cannot be judged is named with the reason; the others go on, and the exit status is 1.
The same command again goes on where one was interrupted."""


def main(args: Sequence[str]) -> int:
    """Predict from overrides; return the exit status."""
    if HELP_FLAGS & set(args) and (line := named_line(args)):
        shown = ("acceptance",) if ACCEPTANCE in line_keys(line) else ()
        configs = (f"{GROUP}/{line}", "predict_line")
        print(help_text("predict", LINE_EPILOG.format(line=line), shown, configs=configs))
        return 0
    return run_verb("predict", args, run, EPILOG, shown=("line",))


def run(overrides: Sequence[str], *, show: bool) -> Path | None:
    """Find the run, the bundle or the line, and judge the source unless the config is only to be shown.

    Returns:
        The folder of the results; None where nothing was judged.
    """
    if names_line(overrides):
        return _run_line(overrides, show=show)
    if any(override.key_or_group == "bundle" and override.value() for override in parse_overrides(overrides)):
        return _run_bundle(overrides, show=show)
    trained = find_trained("predict", overrides, changeable=("data", "acceptance"))
    check(trained.config)
    if show:
        print_config(trained.config)
        return None
    trained.config.data.root = "."  # the run's own images play no part
    require_values(trained.config)
    warn_of_unfinished(trained.folder)
    with working("loading torch and anomalib"):  # here, since help and errors must not wait for it
        from .runs.predicting import predict  # noqa: PLC0415

    return predict(trained).path


def check(config: DictConfig) -> None:
    """Refuse values that mean nothing.

    Raises:
        ConfigError: Says what is expected.
    """
    for key in ("overlay", "mask"):
        if config[key] not in WHICH:
            raise ConfigError(f"Expected {key} to be one of {', '.join(WHICH)}, but found {config[key]!r}.")
    if config.errors not in ERRORS:
        raise ConfigError(f"Expected errors to be one of {', '.join(ERRORS)}, but found {config.errors!r}.")
    for key in ("image_threshold", "pixel_threshold"):
        value = config[key]
        if value is not None and (not isinstance(value, int | float) or not abs(value) <= LARGEST):
            raise ConfigError(f"Expected {key} to be a finite number, with a point and no comma, but found {value!r}.")
    if config.page < 0:
        raise ConfigError(f"Expected page to be a number of images, or 0 for no page, but found {config.page}.")
    for key in ("every", "batch_size"):
        if config[key] < 1:
            raise ConfigError(f"Expected {key} to be at least 1, but found {config[key]}.")


def _run_line(overrides: Sequence[str], *, show: bool) -> Path | None:
    """Judge by a line, without a trained run."""
    config = compose_line(overrides)
    if show:
        print_config(config)
        return None
    missing = sorted(OmegaConf.missing_keys(config))
    if own := [key.removeprefix(f"{GROUP}.") for key in missing if key.startswith(f"{GROUP}.")]:
        line = config.choices[GROUP]
        raise ConfigError(f"Expected a value for {own[0]}, but found none; see: loupe predict line={line} --help")
    require_values(config)
    from .configuring.build import build  # noqa: PLC0415 - help and errors must not wait for it

    return run_line(config, build(config.line, "line"), overrides)


def _run_bundle(overrides: Sequence[str], *, show: bool) -> Path | None:
    """Judge by a bundle, without torch."""
    config = OmegaConf.load(CONFIG_DIR / "predict.yaml")
    if not isinstance(config, DictConfig):
        raise TypeError("Expected predict.yaml to hold keys.")
    apply_overrides(config, parse_overrides(overrides))
    if not OmegaConf.is_missing(config, "run"):
        raise ConfigError("Expected run or bundle, but found both; leave one out.")
    config.run = None
    check(config)
    if show:
        print_config(config)
        return None
    require_values(config)
    from .bundles.judging import predict_with_bundle  # noqa: PLC0415 - help and errors must not wait for it

    return predict_with_bundle(config)
