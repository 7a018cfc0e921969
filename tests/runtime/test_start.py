"""`python -m fgc_runtime.start`: a signal ends what it runs without a traceback; other errors are as they were."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

TORCHRUN = "class SignalException(Exception):\n    sigval = 15\nraise SignalException('Process 1 got signal: 15')\n"


def started(folder: Path, body: str, *words: str) -> "subprocess.CompletedProcess[str]":
    (folder / "there").mkdir()
    (folder / "there/__init__.py").touch()
    (folder / "there/__main__.py").write_text(f"import sys\n{body}", encoding="utf-8")
    command = [sys.executable, "-m", "fgc_runtime.start", "there", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("body", "code"), [("raise KeyboardInterrupt", 130), (TORCHRUN, 143), ("sys.exit(7)", 7), ("pass", 0)]
)
def test_it_ends_without_a_word(tmp_path: Path, body: str, code: int) -> None:
    done = started(tmp_path, body)
    assert (done.returncode, done.stderr) == (code, "")


def test_the_module_has_its_words_and_its_errors(tmp_path: Path) -> None:
    done = started(tmp_path, "print(sys.argv[1:], __name__)\nraise ValueError('nope')", "a", "--b")
    assert done.stdout == "['a', '--b'] __main__\n"
    assert done.returncode == 1 and done.stderr.endswith("ValueError: nope\n")


def test_ctrl_c_while_its_package_loads_kills_it_silently(tmp_path: Path) -> None:
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow/__init__.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    (tmp_path / "slow/__main__.py").touch()
    command = [sys.executable, "-m", "fgc_runtime.start", "slow"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
