"""ONNX graphs, as the exporters of torch leave them: made fit for every runtime, and stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxscript.optimizer import remove_unused_nodes

from tools.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from datamodules.files.images import Array

LARGEST_ONNX = 2_000_000_000  # bytes: a protobuf ends at 2 GiB
LARGE_WEIGHTS = 8192  # values: up to here, the exporter computes with constants, whose results would not be rounded
LARGEST_HALF = 65504.0


def save_onnx(proto: onnx.ModelProto, path: Path) -> None:
    """Write a graph into one file, without what only its exporter needed.

    Raises:
        ConfigError: The graph is too large for one file.
    """
    fold_resizes(proto)
    _drop_traces(proto)
    if proto.ByteSize() > LARGEST_ONNX:
        raise ConfigError(
            f"Expected a graph of less than 2 GB, but found {proto.ByteSize() / 1e9:.1f} GB; train with a smaller "
            "backbone, or for PatchCore with a smaller model.coreset_ratio."
        )
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString())


def fold_resizes(proto: onnx.ModelProto) -> None:
    """Compute each resize of constants once, such as that of a transformer's position embeddings to its grid.

    OpenVINO 2026 ignores the antialiasing of a cubic resize, without a word: scores moved by a fortieth of their range.
    """
    moving = {entry.name for entry in proto.graph.input}
    still = []
    for node in proto.graph.node:  # each comes after those that it takes from
        if moving.intersection(node.input):
            moving.update(node.output)
        else:
            still.append(node)
    resizes = [node for node in still if node.op_type == "Resize"]
    if not resizes:
        return
    values = _compute(proto, still, [node.output[0] for node in resizes])
    for node in resizes:
        proto.graph.node.remove(node)
    proto.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in values.items())
    remove_unused_nodes(proto)


def _compute(proto: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], names: Sequence[str]) -> dict[str, Array]:
    """Compute values that depend on no input of a graph, by those of its nodes that depend on none."""
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    graph = helper.make_graph(nodes, "constants", [], outputs, proto.graph.initializer)
    part = helper.make_model(graph, opset_imports=proto.opset_import, functions=proto.functions)
    part.ir_version = proto.ir_version
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    session = onnxruntime.InferenceSession(part.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(list(names), {}), strict=True))


def write_half(onnx_path: Path, path: Path) -> None:
    """Store the weights of a graph in half precision; it goes on computing in single precision.

    What belongs to a weight exactly, as norms do, must be computed by the graph: it would not fit the rounded one.
    """
    proto = onnx.load(str(onnx_path))
    casts = []
    for weight in proto.graph.initializer:
        values = numpy_helper.to_array(weight)
        worth = values.ndim > 1 and values.size > LARGE_WEIGHTS
        if values.dtype == np.float32 and worth and np.abs(values).max() <= LARGEST_HALF:
            name = weight.name
            weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
            casts.append(helper.make_node("Cast", [f"{name}_half"], [name], name=f"{name}_cast", to=TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString())


def _drop_traces(proto: onnx.ModelProto) -> None:
    """Drop the exporter's notes on where each node came from: they hold paths of the machine that exported."""
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        del value.metadata_props[:]
    del proto.graph.metadata_props[:]
    for function in proto.functions:
        del function.metadata_props[:]
        for node in function.node:
            del node.metadata_props[:]
