"""The command line: help, errors and exit codes, without waiting for torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.cli import VERBS, main
from tools.runs.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "anomalib", "lightning", "pandas", "cv2")


def test_overview_lists_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for verb in VERBS:
        assert verb in shown


def test_a_misspelt_verb_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    assert "did you mean 'train'?" in capsys.readouterr().err


def test_no_verb_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage" in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"usage: loupe {verb}" in shown
    assert "examples:" in shown


def test_help_of_train_lists_groups_choices_and_keys(capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "--help"])
    shown = capsys.readouterr().out
    for part in (
        "data=",
        "fiber",
        "folder",
        "synthetic",
        "model=",
        "patchcore",
        "threshold=",
        "normal",
        "seed=0",
        "out=runs",
    ):
        assert part in shown


def test_print_shows_the_resolved_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "data=synthetic", "seed=7", "--print"]) == 0
    shown = capsys.readouterr().out
    assert "_target_: models.patchcore.PatchCore" in shown
    assert shown.count("seed: 7") == 3  # its own, and those of data and evaluation, which refer to it


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["train", "data=fibre"], "did you mean 'fiber'?"),
        (["train", "data=fiber"], "set data.root=VALUE"),
        (["train", "--prnt"], "No option '--prnt'"),
        (["test"], "Expected a value for run"),
        (["test", "run=/no/such/run"], "found none at /no/such/run"),
        (["train", "/no/such/folder"], "there is nothing at '/no/such/folder'; loupe train --help"),
        (["predict", "bundle=x", "source=y", "batch=7"], "did you mean 'lot'?"),
        (["train", "data=synthetic", "epochs=3"], "did you mean 'trainer.max_epochs'?"),
        (["predict", "run=/no/such/run", "source=x"], "found none at /no/such/run"),
    ],
)
def test_mistakes_exit_2_and_say_what_to_do(args: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith(f"loupe {args[0]}:")
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["train", "--help"],
        ["train", "--print"],
        ["train", "data=fibre"],
        ["test", "run=/no"],
        ["predict", "--help"],
        ["sweep", "--help"],
        ["sweep", "--print", "seed=0,1"],
        ["sweep", "seed=0,x"],
    ],
)
def test_help_print_and_errors_import_nothing_heavy(args: list[str]) -> None:
    code = (
        "import sys; from tools.cli import main; main(sys.argv[1:]); "
        f"sys.exit(','.join(name for name in {HEAVY!r} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools", "trian"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "did you mean 'train'?" in done.stderr


def test_names_that_are_no_text_can_be_printed_and_written(tmp_path: Path) -> None:
    verb = os.fsdecode(b"caf\xe9")
    done = subprocess.run(
        [sys.executable, "-m", "tools", verb],
        cwd=ROOT,
        capture_output=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"no verb" in done.stderr
    printed = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.argv = ['loupe', '--help']; from tools.cli import main; main(); print({verb!r})",
        ],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    assert printed.stdout.endswith(b"caf\\udce9\n")
    path = RunFolder(tmp_path).write_text("a.txt", verb)
    assert path.read_text(encoding="utf-8") == "caf\\udce9"
