"""``python -m loupe_runner``: the command of a bundle."""

from __future__ import annotations

import sys

from .command import main

sys.exit(main())
