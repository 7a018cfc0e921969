"""What happens to machines happens to trainings: a full disk, a dead process, another number of processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fgc_runtime import control
from fgc_runtime.checkpoint import find_checkpoints, verify
from fgc_runtime.verify.compare import losses

PROGRAM = Path(__file__).parent / "programs/train.py"
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SAVING = {
    "max_steps": 6,
    "save_strategy": "steps",
    "save_steps": 3,
    "save_total_limit": None,
    "lr_scheduler_type": "constant",
}

pytestmark = pytest.mark.slow


def command(folder: Path, *launcher: str, **arguments: Any) -> list[str]:
    return [sys.executable, *launcher, str(PROGRAM), str(folder), "--arguments", json.dumps(arguments)]


def train(folder: Path, *launcher: str, **arguments: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command(folder, *launcher, **arguments), capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six steps on two processes, with checkpoints at 3 and 6."""
    folder = tmp_path_factory.mktemp("two")
    done = train(folder, *TORCHRUN, per_device_train_batch_size=4, **SAVING)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def resharded(two: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Those of two processes, gone on with by one."""
    folder = tmp_path_factory.mktemp("one")
    start = {"resume_from_checkpoint": str(two / "checkpoints/checkpoint-3"), "per_device_train_batch_size": 8}
    done = train(folder, **start, **SAVING)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_one_process_goes_on_where_two_stopped(two: Path, resharded: tuple[Path, str]) -> None:
    folder, output = resharded
    assert "The checkpoint is of 2 processes, this run has 1: the data goes on at the same example" in output
    expected = losses(two / "checkpoints/checkpoint-6")
    assert losses(folder / "checkpoints/checkpoint-6") == pytest.approx(expected, abs=1e-6)


def test_two_processes_go_on_where_one_stopped(two: Path, resharded: tuple[Path, str], tmp_path: Path) -> None:
    start = {"resume_from_checkpoint": str(resharded[0] / "checkpoints/checkpoint-6"), "per_device_train_batch_size": 4}
    done = train(tmp_path, *TORCHRUN, **start, **{**SAVING, "max_steps": 6})
    assert done.returncode == 0, done.stderr
    assert "The checkpoint is of 1 processes, this run has 2" in done.stdout
    assert done.stdout.count("Resuming at step 6") == 1


_LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_full_disk_costs_no_older_checkpoint(tmp_path: Path) -> None:
    """A limit on the size of files fails as a full disk does, without being root: in the middle of a file."""
    smallest = 20_000  # bytes: logs and configuration fit, the weights do not
    words = command(tmp_path, per_device_train_batch_size=8, **{**SAVING, "max_steps": 3})
    assert subprocess.run(words, capture_output=True, timeout=120).returncode == 0
    before = find_checkpoints(tmp_path / "checkpoints")
    more = {"max_steps": 4, "save_steps": 4, "resume_from_checkpoint": True, "save_failure": "continue"}
    words = command(tmp_path, per_device_train_batch_size=8, **{**SAVING, **more})
    limited = [words[0], "-c", _LIMITED, str(smallest), *words[1:]]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=120)
    assert re.search(r"checkpoint-4 could not be written: .*File too large", done.stderr), done.stderr
    assert find_checkpoints(tmp_path / "checkpoints") == before
    assert verify(before[-1])["step"] == 3
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["checkpoint-3"]
    assert "training goes on (save_failure 'continue')" in done.stderr
    assert "step 4\n" in done.stdout


def test_when_one_process_is_killed_all_end_and_the_reason_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="fgc-") as jobs:
        monkeypatch.setenv("FGC_JOBS_DIR", jobs)
        words = [*command(tmp_path, *TORCHRUN, max_steps=100_000), "--job-id", "pair", "--step-s", "0.05"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line == "step 1\n":
                    break
            pids = control.find_job("pair").pids
            os.kill(pids[1], signal.SIGKILL)
            killed_s = time.monotonic()
            output, _ = process.communicate(timeout=90)
    assert process.returncode == 1
    assert time.monotonic() - killed_s < 60
    assert "Signal 9 (SIGKILL)" in output
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
