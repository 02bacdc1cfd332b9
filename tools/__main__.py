"""``python -m tools VERB ...`` is ``loupe VERB ...``."""

import sys

from .cli import main

sys.exit(main())
