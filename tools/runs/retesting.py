"""The heavy half of ``loupe test``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from lightning import seed_everything

from callbacks.measures.learning import with_reason
from callbacks.training.history import read_rows
from datamodules.errors import DataError
from datamodules.table import TEST, read_table
from tools.configuring.build import build

from .accepting import acceptance_of
from .checkpoint import read_checkpoint, restore
from .chosen import chosen_keys
from .course import SECTION
from .environment import describe_environment
from .ownership import owned
from .run_files import ENVIRONMENT, METRICS
from .run_state import note_state
from .testing import Provenance, run_test
from .trained import make_output, note_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from callbacks.measures.learning import Rows
    from datamodules.base import InspectionDataModule

    from .run_folder import RunFolder
    from .trained import Trained

NAMED = 3  # figures that differ, that a sentence names


def retest(trained: Trained, *, other_data: bool) -> RunFolder:
    """Test a trained model; on the images of its run, compare with what the run found.

    Raises:
        ConfigError: The checkpoint or a value of the config is not usable.
        DataError: There is nothing to test.
    """
    config = trained.config
    acceptance_of(config)
    seed_everything(config.seed, workers=True, verbose=False)
    checkpoint = read_checkpoint(trained.checkpoint)
    module = restore(checkpoint)
    if config.get("compile"):
        module.model.compile()
    datamodule: InspectionDataModule = build(config.data, "data")
    if datamodule.classes is None:  # labels mean what they meant to the model
        datamodule.classes = tuple(filter(None, module.classes))
    saved = trained.folder.samples if trained.folder is not None else None
    known = read_table(saved) if saved is not None and saved.is_file() else pd.DataFrame()
    if other_data or known.empty:
        datamodule.setup()
        if not known.empty:
            seen = known.loc[known["split"] != TEST, "sha256"]
            datamodule.leave_out(set(seen), "was used to train or calibrate this run", "nothing to do")
    else:
        datamodule.use_samples(known)
    if datamodule.split_samples(TEST).empty:
        raise DataError(
            f"Expected pictures to test in {datamodule.root}, but found none; check data.root and data.test_share."
        )
    folder = make_output(trained, "tests")
    environment = {"state": "testing"} | describe_environment(module.origin(), datamodule.content_hash)
    provenance = Provenance(checkpoint.epoch, chosen_keys(config, overrides_of(trained)), *course_of(trained))
    with owned(folder.path):
        note_config(folder, config)
        results = run_test(config, module, datamodule, folder, environment, provenance=provenance)
        note_state(folder, "finished")
    if trained.folder is not None and not other_data:
        before = trained.folder.read_json(METRICS)
        print(compared(_without_rules(before), _without_rules(results.metrics)))
    return folder


def compared(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Say in a sentence whether a test gives the figures of the run, and if not, which it gives instead.

    Figures that only one of both has are another version's, and say nothing of the model.
    """
    if before == now:
        return "Same metrics as the run, to the last digit."
    old, new = dict(_figures(before)), dict(_figures(now))
    both = [name for name in old if name in new]
    others = [name for name in both if old[name] != new[name]]
    if not others:
        return (
            f"Same metrics as the run, to the last digit, in all {len(both)} figures that both versions of Loupe have."
        )
    values = (name for name in others if not name.endswith((".low", ".high")))
    named = [f"{name} {old[name]:.6g}, now {new[name]:.6g}" for name in values if _is_number(old[name], new[name])]
    shown = named[:NAMED] or others[:NAMED]
    return f"{len(others)} of {len(both)} figures differ from the run's own: {'; '.join(shown)}."


def _figures(values: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of metrics, and where it stands."""
    if isinstance(values, dict | list):
        for key, value in values.items() if isinstance(values, dict) else enumerate(values):
            yield from _figures(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, values


def _is_number(*values: Any) -> bool:
    return all(isinstance(value, int | float) for value in values)


def _without_rules(metrics: dict[str, Any]) -> dict[str, Any]:
    """Leave out what rules of acceptance say: others may be asked for in a test."""
    return {name: section for name, section in metrics.items() if name != "acceptance"}


def overrides_of(trained: Trained) -> list[str]:
    """Return the overrides that a run was trained with, as far as it is known."""
    environment = {} if trained.folder is None else trained.folder.read_json(ENVIRONMENT)
    return [str(override) for override in environment.get("overrides", [])]


def course_of(trained: Trained) -> tuple[dict[str, Any], Rows]:
    """Return how the training of a run's best checkpoint went, and its history; empty for any other checkpoint."""
    if trained.tested is None:
        return {}, {}
    course = with_reason(trained.tested.read_json(METRICS).get(SECTION, {}))
    return course, read_rows(trained.tested.history) if course else {}
