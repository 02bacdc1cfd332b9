"""A row of TensorBoard's HParams tab: what was chosen for a run; what came of it are the scalars beside it.

TensorBoard puts the rows of all runs together by itself, as long as none of them describes the whole table: of several
such descriptions it takes the first, and the others' keys and figures are not shown. So none is written. No torch is
needed: a sweep that has ended writes its rows within a moment.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.api_pb2 import STATUS_SUCCESS
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from .event_files import ROW, forget_row

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Value = str | float | bool | None


def write_row(folder: Path, chosen: Mapping[str, Value], figures: Mapping[str, float] | None = None) -> None:
    """Write the row of a run in place of any that is there.

    Args:
        folder: Of the run's events.
        chosen: Values by key; None is left out.
        figures: Scalars that the run's own events lack.
    """
    forget_row(folder)
    start, end = SessionStartInfo(), SessionEndInfo(status=STATUS_SUCCESS)
    for key, value in chosen.items():
        if isinstance(value, bool | str):
            start.hparams[key].string_value = str(value).lower() if isinstance(value, bool) else value
        elif value is not None:
            start.hparams[key].number_value = value
    values = [
        _about(metadata.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=start)),
        _about(metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=end)),
        *(Summary.Value(tag=name, simple_value=value) for name, value in (figures or {}).items()),
    ]
    writer = EventFileWriter(str(folder), filename_suffix=ROW)
    writer.add_event(Event(wall_time=time.time(), step=1, summary=Summary(value=values)))
    writer.close()


def _about(tag: str, content: HParamsPluginData) -> Summary.Value:
    """Say something to the HParams tab: a value that is nothing but its metadata."""
    content.version = metadata.PLUGIN_DATA_VERSION
    plugin = SummaryMetadata.PluginData(plugin_name=metadata.PLUGIN_NAME, content=content.SerializeToString())
    return Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin))
