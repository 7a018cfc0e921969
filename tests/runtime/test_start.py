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


def test_a_failed_process_of_torchrun_is_one_line(tmp_path: Path) -> None:
    body = (
        "from types import SimpleNamespace\n"
        "class ChildFailedError(Exception):\n"
        "    def get_first_failure(self): return 1, SimpleNamespace(exitcode=int(sys.argv[1]))\n"
        "raise ChildFailedError()\n"
    )
    done = started(tmp_path, body, "3")
    assert (done.returncode, done.stderr) == (3, "process 1 of the training ended with exit code 3\n")


def test_a_program_finds_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("VALUE = 5\n", encoding="utf-8")
    (tmp_path / "program.py").write_text(
        "import sys\nfrom beside import VALUE\nprint(VALUE, sys.argv[1:], __name__)\n", encoding="utf-8"
    )
    command = [sys.executable, "-P", "-m", "fgc_runtime.start", str(tmp_path / "program.py"), "--a"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "5 ['--a'] __main__\n"), done.stderr
