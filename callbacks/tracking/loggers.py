"""Loggers beside TensorBoard's events and history.csv, which every run writes: a table of Lightning's, MLflow, W&B.

Each is a plain description that a config holds; ``start`` makes the logger for one run. Where files go is no choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, WandbLogger

if TYPE_CHECKING:
    from pathlib import Path

    from lightning.pytorch.loggers import Logger


@runtime_checkable
class Tracking(Protocol):
    """Describes a logger."""

    def start(self, folder: Path, name: str) -> Logger:
        """Make the logger of one run.

        Args:
            folder: Of the run.
            name: What to call the run.
        """


@dataclass(frozen=True)
class Csv:
    """Lightning's own table: ``lightning_csv/metrics.csv`` of the run, one row per log."""

    def start(self, folder: Path, name: str) -> Logger:
        """Make the logger."""
        del name
        return CSVLogger(str(folder), name="lightning_csv", version="")


@dataclass(frozen=True)
class Mlflow:
    """MLflow, in a database beside the runs or on a server.

    Attributes:
        experiment: To which runs belong.
        uri: Of the server; None: ``mlflow.db`` beside the folders of runs, as MLflow refuses plain folders by now;
            ``mlflow ui --backend-store-uri sqlite:///runs/mlflow.db`` shows it.
    """

    experiment: str = "loupe"
    uri: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is not installed."""
        require("mlflow")

    def start(self, folder: Path, name: str) -> Logger:
        """Make the logger."""
        home = folder.resolve().parents[1]
        uri = self.uri or f"sqlite:///{(home / 'mlflow.db').as_posix()}"
        artifacts = None if self.uri else (home / "mlruns").as_uri()
        return MLFlowLogger(self.experiment, run_name=name, tracking_uri=uri, artifact_location=artifacts)


@dataclass(frozen=True)
class Wandb:
    """Weights and Biases; by default offline, in ``wandb`` of the run, to be sent by ``wandb sync``.

    Attributes:
        project: To which runs belong.
        offline: Whether nothing is sent while it trains.
    """

    project: str = "loupe"
    offline: bool = True

    def __post_init__(self) -> None:
        """Refuse what is not installed."""
        require("wandb")

    def start(self, folder: Path, name: str) -> Logger:
        """Make the logger."""
        return WandbLogger(name=name, save_dir=str(folder), project=self.project, offline=self.offline)


def require(package: str) -> None:
    """Refuse to go on without a package.

    Raises:
        ValueError: Says how it is installed.
    """
    if find_spec(package) is None:
        raise ValueError(f"Expected {package} to be installed, but it is not: pip install 'loupe-inspect[{package}]'.")
