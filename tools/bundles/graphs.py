"""A network in the forms that a bundle ships: ONNX, OpenVINO and safetensors, in single, half and 8-bit precision.

Letters: B batch, H and W height and width of the model's images.
"""

from __future__ import annotations

import logging
from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import onnx
import torch
from torch import nn

from models.components.padding import opened
from models.export_plan import Explains
from models.tensor_files import save_tensors
from tools.errors import ConfigError
from tools.mishaps import first_line
from tools.runner.composition import EMBEDDING, INPUT, MAP, SCORE

from .intel import nncf, openvino, opset13
from .onnx_files import save_onnx, write_half
from .tracing import out_of_place, quiet_exporter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor
    from torchvision.models.detection import MaskRCNN

    from models.export_plan import Graph

OPSET = 18
CONVOLUTIONS = ("Convolution", "GroupConvolution")
IN_FULL_PRECISION = 4  # convolutions, from the first, that int8 leaves in single precision
NEVER_INT8 = [
    *("MatMul", "Add", "Subtract", "Multiply", "Divide", "Power", "Sqrt", "SquaredDifference", "Interpolate", "MVN"),
    *("NormalizeL2", "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"),
]
FOUND = ("boxes", "labels", "scores", "masks")


class RawOutputs(nn.Module):
    """A network as a graph: images (B, 3, H, W) in [0, 1] to raw scores (B,) and maps (B, H, W), and its views.

    Args:
        network: In evaluation mode.
        describe: From images to one vector each (B, D), the last output; None: there is none.

    Attributes:
        names: Of what it returns.
    """

    def __init__(self, network: nn.Module, describe: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.network = network
        self.describe = describe
        views = network.views if isinstance(network, Explains) else ()
        self.names = [SCORE, MAP, *views, *([] if describe is None else [EMBEDDING])]

    def forward(self, image_B3HW: Tensor) -> tuple[Tensor, ...]:
        """Decide nothing: thresholds lie beside the graph."""
        prediction: Any
        views: dict[str, Tensor]
        prediction, views = (
            self.network.explain(image_B3HW) if isinstance(self.network, Explains) else (self.network(image_B3HW), {})
        )
        described = [] if self.describe is None else [self.describe(image_B3HW).flatten(1)]
        return prediction.pred_score, prediction.anomaly_map, *views.values(), *described


class MapsAlone(nn.Module):
    """A network as a graph for images of any size: images (B, 3, H, W) in [0, 1] to raw maps (B, H, W).

    Its scores are the highest values of the maps: a share of the pixels, as networks take it, cannot be counted in a
    graph that does not know how many there are.

    Args:
        network: In evaluation mode.
    """

    names: ClassVar[list[str]] = [SCORE, MAP]

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        """Give maps; whoever puts them together scores images."""
        map_BHW: Tensor = self.network(image_B3HW).anomaly_map.reshape(-1, *image_B3HW.shape[2:])
        return map_BHW.amax(dim=(1, 2)), map_BHW


class Part(nn.Module):
    """A network as one graph of several, that answers with what the runner goes on with.

    Args:
        graph: Names what it gives.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.network, self.describe = graph.network, graph.describe
        self.names = [*graph.gives, *([] if graph.describe is None else [EMBEDDING])]

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Answer, and describe the images last."""
        described = [] if self.describe is None else [self.describe(*given).flatten(1)]
        return *self.network(*given), *described


class Instances(nn.Module):
    """A Mask R-CNN as a graph: one image (1, 3, H, W) to boxes (D, 4), labels, scores (D,) and masks (D, M, M).

    The surest detection is always among them, below the score threshold or not, which the runner applies once more:
    where nothing at all is left, OpenVINO 2026 answers with one detection of whatever its memory held.

    Args:
        network: As it was trained; it is copied.
    """

    def __init__(self, network: MaskRCNN) -> None:
        super().__init__()
        self.network = deepcopy(network)
        self.score_threshold = float(network.roi_heads.score_thresh)
        self.network.roi_heads.score_thresh = -1.0  # drops none: what is sure is never suppressed by what is not

    def forward(self, image_13HW: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Do what torchvision's forward does, and leave masks in their boxes: the runner lays them onto the image."""
        heads = self.network.roi_heads
        images, _ = self.network.transform([opened(image_13HW)[0][0]])
        features = self.network.backbone(images.tensors)
        proposals, _ = self.network.rpn(images, features)
        pooled = heads.box_head(heads.box_roi_pool(features, proposals, images.image_sizes))
        found = heads.postprocess_detections(*heads.box_predictor(pooled), proposals, images.image_sizes)
        boxes_D4, scores_D, labels_D = (values[0] for values in found)  # from the surest
        first = torch.arange(scores_D.shape[0], device=scores_D.device) == 0  # a len is traced as a constant
        chosen = torch.where((scores_D > self.score_threshold) | first)[0]
        boxes_D4, scores_D, labels_D = boxes_D4[chosen], scores_D[chosen], labels_D[chosen]
        cells = heads.mask_head(heads.mask_roi_pool(features, [boxes_D4], images.image_sizes))
        masks_DCMM = heads.mask_predictor(cells).sigmoid()
        index_D111 = labels_D.view(-1, 1, 1, 1).expand(-1, 1, *masks_DCMM.shape[2:])
        return boxes_D4, labels_D, scores_D, masks_DCMM.gather(1, index_D111)[:, 0]

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]  # as torch calls it
        """Hold tensors only: the exporter takes everything for one, and networks keep notes of their origin."""
        state: dict[str, Any] = super().state_dict(*args, **kwargs)
        for key in [key for key, value in state.items() if not isinstance(value, torch.Tensor)]:
            del state[key]
        return state


def write_any_size(graph: MapsAlone, multiple: int, path: Path) -> None:
    """Export a graph for images of any size whose sides are multiples of ``multiple``.

    Raises:
        ConfigError: The network is one for images of one size.
    """
    count = -(-64 // multiple)
    example = torch.rand(2, 3, count * multiple, (count + 2) * multiple)
    sides = {axis: multiple * torch.export.Dim(name, min=2) for axis, name in ((2, "rows"), (3, "columns"))}
    try:
        write_onnx(graph, example, path, sides)
    except ConfigError:
        raise
    except Exception as error:  # torch raises many kinds, and all mean that its sides are constants somewhere
        raise ConfigError(
            "Expected a network whose graph takes images of any size, since data.fit is own, but found "
            f"{type(graph.network).__name__}, which torch cannot export so ({first_line(error)}); set data.fit=keep "
            "and data.image_size as large as the scans, or use loupe predict run=."
        ) from error


def write_onnx(
    graph: RawOutputs | MapsAlone | Part,
    example: Tensor | dict[str, Tensor],
    path: Path,
    sides: Mapping[int, Any] | None = None,
) -> None:
    """Export a graph for any batch, from 1 up, into one file.

    Args:
        graph: In evaluation mode.
        example: A batch of 2 images (B, 3, H, W), for torch's exporter takes a batch of 1 for a constant; or all that
            the graph takes, by name, with two of each.
        path: Of the file.
        sides: What may change but the number of images, by axis; None: nothing else.

    Raises:
        ConfigError: The graph holds for one number of images only, or is too large for one file.
    """
    batch = torch.export.Dim("batch", min=1)
    given = {INPUT: example} if isinstance(example, torch.Tensor) else example
    shapes = tuple({0: batch, **(sides or {})} for _ in given)
    with torch.no_grad(), quiet_exporter(), out_of_place(graph):
        program = torch.onnx.export(
            graph.eval(),
            tuple(given.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(given),
            output_names=graph.names,
            dynamic_shapes=(shapes,) if isinstance(graph, Part) else shapes,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("Expected torch to export a program, but it returned none.")
    if not program.model_proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param:
        raise ConfigError(
            "Expected a graph for any number of pictures, but this model's holds for two alone: its code depends on "
            "how many there are; use loupe predict run=."
        )
    save_onnx(program.model_proto, path)


def write_instances(graph: Instances, example_13HW: Tensor, path: Path) -> None:
    """Export the graph of an instance model, for one image at a time.

    The number of proposals depends on the image, which torch's new exporter cannot express: this is the old one.
    """
    with torch.no_grad(), quiet_exporter():
        torch.onnx.export(
            graph.eval(),
            (example_13HW,),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(FOUND),
            dynamic_axes={name: {0: "detections"} for name in FOUND},
        )
    save_onnx(onnx.load(str(path)), path)


def write_forms(
    graphs: Mapping[str, Graph],
    size: tuple[int, int],
    folder: Path,
    precisions: Sequence[str],
    images: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
    """Write the graphs of a model in every form.

    Args:
        graphs: Of a calibrated model, in evaluation mode, by name; none where the runner needs none.
        size: Height and width of what the graphs take: images, or tiles.
        folder: Of the bundle.
        precisions: ``fp32`` first, then ``fp16`` and ``int8`` where wanted.
        images: Inputs from calibration images, for int8.

    Returns:
        What ``spec.json`` says of them, the preferred one first.
    """
    _check_precisions(graphs, precisions)
    if not graphs:
        return [{"runtime": "numpy", "precision": "fp32", "files": {}}]
    for name, graph in graphs.items():
        _write_graph(graph, graph.size or size, folder / f"{name}.onnx")
    forms = []
    for precision in precisions:
        stems = _stems(graphs, precision)
        for name, stem in stems.items():
            if precision == "fp32" or stem != name:
                _write_precision(folder / name, folder / stem, precision, images)
        for runtime, suffix in (("onnxruntime", ".onnx"), ("openvino", ".xml")):
            if all((folder / f"{stem}{suffix}").is_file() for stem in stems.values()):
                files = {name: f"{stem}{suffix}" for name, stem in stems.items()}
                forms.append({"runtime": runtime, "precision": precision, "files": files})
    return forms


def _stems(graphs: Mapping[str, Graph], precision: str) -> dict[str, str]:
    """Name the files of a precision, without their suffix: in int8, what follows the features stays as it is."""
    same = [name for name, graph in graphs.items() if precision == "int8" and graph.given is not None]
    return {name: name if precision == "fp32" or name in same else f"{name}_{precision}" for name in graphs}


def _write_precision(source: Path, target: Path, precision: str, images: Sequence[dict[str, Any]]) -> None:
    """Write a graph, whose ONNX in single precision is there, in a precision; paths have no suffix."""
    if precision == "int8":
        write_int8(source.with_suffix(".onnx"), target.with_suffix(".xml"), images)
        return
    if precision == "fp16":
        write_half(source.with_suffix(".onnx"), target.with_suffix(".onnx"))
    write_openvino(target.with_suffix(".onnx"), target.with_suffix(".xml"), half=precision == "fp16")


def _check_precisions(graphs: Mapping[str, Graph], precisions: Sequence[str]) -> None:
    wrong = [name for name in precisions if name != "fp32"]
    if wrong and not graphs:
        raise ConfigError(f"Expected precisions=[fp32] for a model without a graph, but found {wrong[0]!r}.")
    if "int8" in wrong and any(graph.size or graph.multiple for graph in graphs.values()):
        raise ConfigError(
            "Expected precisions=[fp32] or [fp32,fp16] for a model whose graphs take images of their own sizes, but "
            "found int8, which is fitted to whole images."
        )


def _write_graph(graph: Graph, size: tuple[int, int], path: Path) -> None:
    """Write a graph in ONNX and single precision."""
    if graph.instances:
        write_instances(Instances(cast("MaskRCNN", graph.network)), torch.rand(1, 3, *size), path)
    elif graph.gives:
        image_B3HW = torch.rand(2, 3, *size)
        with torch.inference_mode():
            given = None if graph.given is None else graph.given(image_B3HW)
        example = image_B3HW if given is None else {name: value.clone() for name, value in given.items()}
        write_onnx(Part(graph), example, path)
    elif graph.multiple is not None:
        write_any_size(MapsAlone(graph.network), graph.multiple, path)
    else:
        write_onnx(RawOutputs(graph.network, graph.describe), torch.rand(2, 3, *size), path)


def write_openvino(onnx_path: Path, path: Path, *, half: bool = False) -> None:
    """Convert a graph to OpenVINO's form, ``path`` (.xml) and its weights beside it (.bin); from halves to halves."""
    model = openvino.convert_model(str(onnx_path))
    if half:
        _store_in_half(model)
    openvino.save_model(model, str(path), compress_to_fp16=False)  # which would round a bank's squared norms, too


def _store_in_half(model: openvino.Model) -> None:
    """Store in half precision what that holds exactly: the weights that were in half precision in ONNX.

    The conversion stores them in single precision, and a bank in the blocks that are searched.
    """
    for node in model.get_ops():
        if node.get_type_name() != "Constant" or node.get_element_type() != openvino.Type.f32:
            continue
        values = node.data
        with np.errstate(over="ignore"):
            halves = values.astype(np.float16)
        if values.ndim > 1 and np.array_equal(values, halves):
            short = opset13.constant(halves, openvino.Type.f16)
            node.output(0).replace(opset13.convert(short, openvino.Type.f32).output(0))


def write_int8(onnx_path: Path, path: Path, images: Sequence[dict[str, Any]]) -> None:
    """Quantise the convolutions of a graph to 8 bits, with ranges taken from ``images``, into OpenVINO's form.

    Distances to a bank, norms and softmaxes stay in single precision: they subtract numbers that are nearly equal. So
    do the first convolutions: on a small network, they alone bring most of the error (0.09 of the range of PatchCore's
    scores on fibers with LoupeNet, and 0.01 without them). And so does all that works on maps: a map's range is taken
    from calibration images, most of them good, and defects would be cut off at its end.

    Args:
        onnx_path: The graph in single precision.
        path: Of the .xml.
        images: Inputs by name, one image each.
    """
    nncf.set_log_level(logging.ERROR)
    whole = openvino.convert_model(str(onnx_path))
    convolutions = [node for node in whole.get_ordered_ops() if node.get_type_name() in CONVOLUTIONS]
    maps = [node for node in convolutions if node.get_output_partial_shape(0)[1] == 1]
    in_full = [node.get_friendly_name() for node in (*convolutions[:IN_FULL_PRECISION], *maps)]
    model = nncf.quantize(
        whole,
        nncf.Dataset(images),
        subset_size=len(images),
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(names=in_full, types=NEVER_INT8, validate=False),
    )
    openvino.save_model(model, str(path), compress_to_fp16=False)


def write_safetensors(network: nn.Module, path: Path, metadata: dict[str, str]) -> None:
    """Store the tensors of a network, for torch: no code, no pickle."""
    tensors = {
        name: value.detach().cpu().contiguous().clone()  # tensors that share memory are stored twice
        for name, value in network.state_dict().items()
        if isinstance(value, torch.Tensor)
    }
    save_tensors(tensors, path, metadata)
