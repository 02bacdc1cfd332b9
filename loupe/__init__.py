"""Loupe from Python: everything that a program of one's own needs, by one import.

    import loupe

    run = loupe.train("PATH", model="padim")
    run.metrics
    run.predict("x.png").frame

``train`` and ``predict`` do what the commands of these names do. The classes are what a data module, model, policy or
measure of one's own builds on; docs/extend.md shows all four. Nothing is loaded before it is asked for: ``import
loupe`` takes no time, and ``loupe.Bundle`` needs no torch.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._rooms import claim

claim(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120 - pathlib is yet to be loaded

if TYPE_CHECKING:
    from callbacks.acceptance.judgement import Acceptance
    from callbacks.decisions.calibration import Calibration
    from callbacks.measures.figures import Chart, ImageFigure, Line
    from callbacks.measures.measure import ContextMeasure, Measure, Section
    from callbacks.policies.base import Policy, Threshold
    from datamodules.base import InspectionDataModule
    from datamodules.errors import DataError, UnreadableImageError
    from datamodules.fiber import FiberDataModule
    from datamodules.folder import FolderDataModule
    from datamodules.meta_atom import MetaAtomDataModule
    from datamodules.metallography import MetallographyDataModule
    from datamodules.oring import OringDataModule
    from datamodules.print3d import Print3dDataModule
    from datamodules.samples.batch import InspectionBatch
    from datamodules.synthetic.datamodule import SyntheticDataModule
    from datamodules.synthetic.meta_atom_sets import DrawnArraysDataModule
    from models.base import InspectionModel
    from models.conv_ae import ConvAutoencoder
    from models.dfm import DFM
    from models.dinomaly import Dinomaly
    from models.do2mr import Do2mr
    from models.do2mr_lei import Do2mrLei
    from models.efficient_ad import EfficientAd
    from models.errors import DivergedError, WeightsError
    from models.fastflow import Fastflow
    from models.features.backbones import Backbone
    from models.hybrid import Hybrid
    from models.layered import Layered
    from models.lei import Lei
    from models.mask_rcnn import MaskRcnn
    from models.metallography import Metallography
    from models.one_pass import OnePassModel
    from models.padim import Padim
    from models.patch_classifier import PatchClassifier
    from models.patchcore import PatchCore
    from models.reverse_distillation import ReverseDistillation
    from models.self_reference import SelfReference
    from models.stfpm import STFPM
    from models.unet import Unet
    from tools.errors import ConfigError
    from tools.runner import Bundle, BundleError, Result
    from tools.verbs import Predictions, Run, predict, train

# Where each name lives. Type checkers read the imports above; a test keeps the two alike.
_HOMES = {
    "Acceptance": "callbacks.acceptance.judgement",
    "Backbone": "models.features.backbones",
    "Bundle": "tools.runner",
    "BundleError": "tools.runner",
    "Calibration": "callbacks.decisions.calibration",
    "Chart": "callbacks.measures.figures",
    "ConfigError": "tools.errors",
    "ContextMeasure": "callbacks.measures.measure",
    "ConvAutoencoder": "models.conv_ae",
    "DFM": "models.dfm",
    "DataError": "datamodules.errors",
    "Dinomaly": "models.dinomaly",
    "DivergedError": "models.errors",
    "Do2mr": "models.do2mr",
    "Do2mrLei": "models.do2mr_lei",
    "DrawnArraysDataModule": "datamodules.synthetic.meta_atom_sets",
    "EfficientAd": "models.efficient_ad",
    "Fastflow": "models.fastflow",
    "FiberDataModule": "datamodules.fiber",
    "FolderDataModule": "datamodules.folder",
    "Hybrid": "models.hybrid",
    "ImageFigure": "callbacks.measures.figures",
    "InspectionBatch": "datamodules.samples.batch",
    "InspectionDataModule": "datamodules.base",
    "InspectionModel": "models.base",
    "Layered": "models.layered",
    "Lei": "models.lei",
    "Line": "callbacks.measures.figures",
    "MaskRcnn": "models.mask_rcnn",
    "Measure": "callbacks.measures.measure",
    "MetaAtomDataModule": "datamodules.meta_atom",
    "Metallography": "models.metallography",
    "MetallographyDataModule": "datamodules.metallography",
    "OnePassModel": "models.one_pass",
    "OringDataModule": "datamodules.oring",
    "Padim": "models.padim",
    "PatchClassifier": "models.patch_classifier",
    "PatchCore": "models.patchcore",
    "Policy": "callbacks.policies.base",
    "Predictions": "tools.verbs",
    "Print3dDataModule": "datamodules.print3d",
    "Result": "tools.runner",
    "ReverseDistillation": "models.reverse_distillation",
    "Run": "tools.verbs",
    "STFPM": "models.stfpm",
    "Section": "callbacks.measures.measure",
    "SelfReference": "models.self_reference",
    "SyntheticDataModule": "datamodules.synthetic.datamodule",
    "Threshold": "callbacks.policies.base",
    "Unet": "models.unet",
    "UnreadableImageError": "datamodules.errors",
    "WeightsError": "models.errors",
    "predict": "tools.verbs",
    "train": "tools.verbs",
}

__all__ = [
    "DFM",
    "STFPM",
    "Acceptance",
    "Backbone",
    "Bundle",
    "BundleError",
    "Calibration",
    "Chart",
    "ConfigError",
    "ContextMeasure",
    "ConvAutoencoder",
    "DataError",
    "Dinomaly",
    "DivergedError",
    "Do2mr",
    "Do2mrLei",
    "DrawnArraysDataModule",
    "EfficientAd",
    "Fastflow",
    "FiberDataModule",
    "FolderDataModule",
    "Hybrid",
    "ImageFigure",
    "InspectionBatch",
    "InspectionDataModule",
    "InspectionModel",
    "Layered",
    "Lei",
    "Line",
    "MaskRcnn",
    "Measure",
    "MetaAtomDataModule",
    "Metallography",
    "MetallographyDataModule",
    "OnePassModel",
    "OringDataModule",
    "Padim",
    "PatchClassifier",
    "PatchCore",
    "Policy",
    "Predictions",
    "Print3dDataModule",
    "Result",
    "ReverseDistillation",
    "Run",
    "Section",
    "SelfReference",
    "SyntheticDataModule",
    "Threshold",
    "Unet",
    "UnreadableImageError",
    "WeightsError",
    "predict",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
