"""What a run is: one small YAML per choice. Every entry is a constructor (``_target_``) and its arguments."""

from pathlib import Path

CONFIG_DIR = Path(__file__).resolve().parent
