"""``loupe extend``: more good images for a model that has learnt in one pass, without those of before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.progress import working

from .command import print_config, run_verb
from .runs.growing_run import asked_of, find_growing

if TYPE_CHECKING:
    from collections.abc import Sequence

EPILOG = """examples:
  loupe extend latest new_microscope/ by=Ada note='microscope 2'
  loupe extend run=RUN data=false_alarm.png dry=true   # what would change
  loupe forget run=RUN pictures=new_microscope         # as it was

PatchCore's bank gets a share of their patches (model.added_ratio), those farthest from all that it holds; PaDiM and
DFM fit to all images anew, from what they keep of those of before. The calibration images are scored again, where they
still are where they were, and so are the images that were added, once they are ten (threshold.min_images), each by the
model without it, as good ones; thresholds are chosen from both by the policy of the run. thresholds.jsonl and
learnt.jsonl keep what happened. The figures of the run's report stay those of the model that it was tested with: loupe
test RUN gives new ones, and bundles are exported again. Take images of several days and of every kind: ten of one
morning say little of the rest. Where other microscopes are to come, train by model=patchcore_fine: more of their
defects are found then. Good images alone put the threshold just above the highest of them; some twenty labels of both
kinds put it better: loupe label RUN source=IMAGES, then loupe calibrate RUN journal=JOURNAL pool=false."""


def main(args: Sequence[str]) -> int:
    """Add images; return the exit status."""
    return run_verb("extend", args, run, EPILOG, shown=())


def run(overrides: Sequence[str], *, show: bool) -> None:
    """Find the run and add images to it, unless the config is only to be shown."""
    trained = find_growing("extend", overrides)
    if show:
        print_config(trained.config)
        return
    asked = asked_of("extend", trained)
    with working("loading torch and anomalib"):  # here, since help and errors must not wait for it
        from .runs.growing import extend  # noqa: PLC0415

    print(extend(asked))
