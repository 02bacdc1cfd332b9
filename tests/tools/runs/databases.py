"""Databases that tests write to: a file of SQLite, and a server of PostgreSQL where one is installed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

DATABASES = ("sqlite", "postgresql")


@contextmanager
def database(sort: str, folder: Path) -> Iterator[str]:
    """Give the address of a new database, which is gone after the block."""
    if sort == "sqlite":
        yield f"sqlite:///{folder / 'results.db'}"
    else:
        with _postgresql() as url:
            yield url


@contextmanager
def _postgresql() -> Iterator[str]:
    pytest.importorskip("psycopg")
    programs = [shutil.which("postgres"), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres")))]
    found = next((program for program in programs if program), None)
    if found is None:
        pytest.skip("needs a server of PostgreSQL")
    with tempfile.TemporaryDirectory() as place:
        prefix: list[str] = []
        if os.geteuid() == 0:  # which PostgreSQL refuses to run as
            if shutil.which("runuser") is None or all(user.pw_name != "postgres" for user in pwd.getpwall()):
                pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
            shutil.chown(place, "postgres")
            prefix = ["runuser", "-u", "postgres", "--"]
        real = Path(found).resolve()
        begin = [real.with_name("initdb"), "-D", f"{place}/data", "-U", "loupe", "-A", "trust", "--no-sync"]
        subprocess.run([*prefix, *map(str, begin)], check=True, capture_output=True, cwd="/")
        serve = [str(real), "-D", f"{place}/data", "-k", place, "-c", "listen_addresses=", "-c", "fsync=off"]
        server = subprocess.Popen([*prefix, *serve], stderr=subprocess.PIPE, text=True, cwd="/")
        try:
            assert server.stderr is not None
            assert any("ready to accept connections" in line for line in server.stderr)
            yield f"postgresql+psycopg://loupe@/postgres?host={place}"
        finally:
            server.terminate()
            server.communicate(timeout=60)
