"""Loads a trial's module: torch, anomalib and all, once, in the server from which workers are forked.

Imported by the fork server alone (see ``local``), by its name; the module to load stands in the environment.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal

from .perform import logged

TRIAL = "LOUPE_SWEEP_TRIAL"

if name := os.environ.get(TRIAL):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the planner's to handle
    with contextlib.suppress(Exception), logged(os.devnull):  # what is wrong with it, the first trial will say
        importlib.import_module(name)
