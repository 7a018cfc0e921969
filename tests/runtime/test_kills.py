"""A run that is killed at any moment and resumed computes the very numbers of one that never stopped."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "programs/dropout.py"
KILL_RANKS = Path(__file__).parents[1] / "benchmarks/kill_ranks.py"  # by hand: at more points
IN_MEMORY = {"TMPDIR": "/dev/shm"} if Path("/dev/shm").is_dir() else {}  # the points count, not the disk's speed

pytestmark = pytest.mark.slow


def verify(program: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "fgc_runtime.verify", str(program), *options]
    environment = {**os.environ, **IN_MEMORY, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)


def test_kills_at_any_point_change_no_bit() -> None:
    done = verify(PROGRAM, "--steps", "12", "--kills", "22", "--seed", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(
        "22 of 22 kills survived: losses, weights, optimizer, counters and random states "
        "are those of the straight run, bit for bit\n"
    )
    assert len(re.findall(r"after step \d+, ", done.stdout)) == 22
    for kind in ("while saving", "in the evaluation", "between backward and the optimizer"):
        assert re.search(rf"killed.*{kind}", done.stdout), f"nothing was killed {kind}"


def test_one_of_two_processes_is_killed_and_both_resume() -> None:
    command = [sys.executable, str(KILL_RANKS), "--kills", "1", "--seed", "3"]
    environment = {**os.environ, **IN_MEMORY, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.match(r"rank \d killed after step \d+, .*, resuming at step \d+: equal\n1 of 1 runs", done.stdout)


def test_a_program_that_forgets_is_found_out(tmp_path: Path) -> None:
    program = tmp_path / "forgets.py"
    text = PROGRAM.read_text().replace(
        "from torch.optim import AdamW",
        "from torch.optim import AdamW\nfrom fgc_runtime.checkpoint import RandomState\n"
        "RandomState.restore = lambda self: None",
    )
    assert "RandomState" in text
    program.write_text(text)
    done = verify(program, "--steps", "6", "--kills", "3")
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"DIFFERENT: step \d+: loss", done.stdout)
    assert "runs differ from the straight one" in done.stderr


def test_a_program_whose_weights_have_no_seed_is_found_out(tmp_path: Path) -> None:
    program = tmp_path / "unseeded.py"
    text = PROGRAM.read_text().replace("trainer = Trainer(\n    model,", "trainer = Trainer(\n    model(),")
    assert "model()," in text
    program.write_text(text)
    done = verify(program, "--steps", "3", "--kills", "1")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "fgc: two straight runs differ as well: the program is not deterministic" in done.stderr


def test_a_program_that_does_not_train_says_so(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print('nothing')")
    done = verify(tmp_path)
    assert done.returncode == 2
    assert "fgc: the program wrote no checkpoint" in done.stderr
