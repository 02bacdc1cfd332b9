"""OpenVINO and NNCF, which send nothing to their makers when they are imported from here."""

from __future__ import annotations

from tools.runner.network import without_telemetry

with without_telemetry():
    import nncf
    import openvino
    from openvino import opset13

__all__ = ["nncf", "openvino", "opset13"]
