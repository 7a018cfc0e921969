"""A refusal of the runtime is a few lines; any other error keeps its traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

RUNTIME = "from fgc_runtime.data import text_files\n"
WRONG_SPLIT = "text_files('one.txt', split='valid')"


def outcome(folder: Path, imports: str, body: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    (folder / "one.txt").write_text("some text", encoding="utf-8")
    program = f"from fgc_runtime.errors import record\n{imports}\n@record\ndef main():\n    {body}\n\nmain()\n"
    (folder / "train.py").write_text(program, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "train.py"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_value_that_the_runtime_refuses_is_told_without_a_traceback(tmp_path: Path) -> None:
    done = outcome(tmp_path, RUNTIME, WRONG_SPLIT)
    assert done.returncode == 1
    first, *_, last = done.stderr.splitlines()
    assert first == "error: split ('valid') must be one of train, validation, all"
    assert last == "  FGC_TRACEBACK=1 shows the traceback"
    assert "Traceback" in outcome(tmp_path, RUNTIME, WRONG_SPLIT, FGC_TRACEBACK="1").stderr


@pytest.mark.parametrize(
    ("imports", "body"),
    [
        ("", "int('x')"),
        ("", "raise ValueError('of the program itself')"),
        ("from mine import check\n" + RUNTIME, f"check(lambda: {WRONG_SPLIT})"),
        ("from fgc_runtime.data.sources import check_split\n", "check_split('train', None)"),
    ],
    ids=["Python's", "the program's", "through the user's", "a bug in the runtime"],
)
def test_any_other_error_keeps_its_traceback(tmp_path: Path, imports: str, body: str) -> None:
    (tmp_path / "mine.py").write_text("def check(call):\n    call()\n", encoding="utf-8")
    assert outcome(tmp_path, imports, body).stderr.startswith("Traceback")


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    done = outcome(tmp_path, "", "open('missing.txt')")
    assert done.stderr.startswith("error: `missing.txt`: No such file or directory\n")


def test_a_process_other_than_the_first_says_its_number(tmp_path: Path) -> None:
    assert outcome(tmp_path, RUNTIME, WRONG_SPLIT, RANK="1").stderr.startswith("error (process 1): split")
