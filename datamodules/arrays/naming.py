"""How tiles of arrays are named: ``{array}_{row},{col}``, counted from one."""

import re

TILE = re.compile(r"^(?P<array>.+)_(?P<row>\d+),(?P<col>\d+)$")
