"""Graphs, on ONNX Runtime or OpenVINO: from images to raw scores and maps.

Letters: B batch, H and W height and width of the model's images.
"""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from .specification import BundleError, check_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import openvino

Array = npt.NDArray[Any]
_ATTRIBUTE = "_core_of_loupe"  # where the package keeps it
_TELEMETRY = "openvino_telemetry"
PACKAGES = {"onnxruntime": "onnxruntime", "openvino": "openvino", "numpy": "numpy"}


class Graph(Protocol):
    """A graph that is ready to run."""

    def __call__(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """Map named inputs to named outputs."""


class Form(NamedTuple):
    """One form in which a bundle holds its graphs.

    Attributes:
        runtime: ``onnxruntime`` or ``openvino``; ``numpy`` where there is no graph.
        precision: ``fp32``, ``fp16`` or ``int8``.
        files: From the name of a graph to its file; OpenVINO's weights lie beside it, as ``.bin``.
    """

    runtime: str
    precision: str
    files: dict[str, str]


def choose_form(spec: dict[str, Any], runtime: str | None, precision: str) -> Form:
    """Choose a form that is in the bundle and can run here; of several, the first.

    Raises:
        BundleError: There is none.
    """
    forms = [Form(**entry) for entry in spec["forms"]]
    held = ", ".join(f"{form.runtime} {form.precision}" for form in forms)
    fitting = [form for form in forms if form.precision == precision and runtime in {None, form.runtime}]
    if not fitting:
        wanted = f"{runtime or 'any runtime'} {precision}"
        raise BundleError(f"Expected a form for {wanted}, but the bundle holds {held}; choose one, or export again.")
    for form in fitting:
        if importlib.util.find_spec(PACKAGES[form.runtime]) is not None:
            return form
    names = " or ".join(PACKAGES[form.runtime] for form in fitting)
    raise BundleError(f"Expected {names} to be installed, but found neither; run: pip install {fitting[0].runtime}")


def open_graphs(folder: Path, form: Form, threads: int | None) -> dict[str, Graph]:
    """Open every graph of a form, unless its file differs from what was exported."""
    weights = [name.removesuffix(".xml") + ".bin" for name in form.files.values() if name.endswith(".xml")]
    check_files(folder, [*form.files.values(), *weights])
    open_graph = _open_onnx if form.runtime == "onnxruntime" else _open_openvino
    return {name: open_graph(folder / file, threads) for name, file in form.files.items()}


def _open_onnx(path: Path, threads: int | None) -> Graph:
    import onnxruntime  # noqa: PLC0415 - only one of the two runtimes need be installed

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    if threads is not None:
        options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: dict[str, Array]) -> dict[str, Array]:
        return dict(zip(names, session.run(names, inputs), strict=True))

    return run


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Let OpenVINO and NNCF be imported as if their telemetry were not installed.

    It tells their makers of every import and conversion unless a user has opted out, and leaves a folder at home. They
    do without the package where it is missing, and decide that when they are imported.
    """
    if _TELEMETRY in sys.modules:  # somebody else's, who knows of it
        yield
        return
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # as the documentation of import says: not to be found
    try:
        yield
    finally:
        del sys.modules[_TELEMETRY]


def openvino_core() -> openvino.Core:
    """Return OpenVINO's core: one for the whole process, which never goes.

    Its CPU plugin puts the stack of signal handlers (sigaltstack) on memory of its own, and gives the one before it
    back when it goes. Of two that go in the order in which they came, the second gives back memory of the first, which
    is gone: the next signal with a handler, Ctrl-C or the end of a child, ends the process by SIGSEGV. The package
    itself keeps it, since bundles of several versions, each with a runner of its own, may share a process.
    """
    with without_telemetry():
        import openvino  # noqa: PLC0415 - only one of the two runtimes need be installed

    if not hasattr(openvino, _ATTRIBUTE):
        setattr(openvino, _ATTRIBUTE, openvino.Core())
    core: openvino.Core = getattr(openvino, _ATTRIBUTE)
    return core


def _open_openvino(path: Path, threads: int | None) -> Graph:
    # Left alone, OpenVINO computes in bfloat16 where the processor can, and scores move by a hundredth.
    options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    compiled = openvino_core().compile_model(str(path), "CPU", options)
    names = [output.get_any_name() for output in compiled.outputs]

    def run(inputs: dict[str, Array]) -> dict[str, Array]:
        found = compiled(inputs, share_inputs=True)
        # Copies: OpenVINO writes the next batch into the same memory.
        return {name: np.array(found[index]) for index, name in enumerate(names)}

    return run
