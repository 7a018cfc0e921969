"""Signals to a real process: the step ends, a checkpoint is written, the exit code is the shell's."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fgc_runtime import control
from fgc_runtime.checkpoint import find_checkpoints, latest_checkpoint, read_trainer_state
from fgc_runtime.trainers.loop.control import Interrupts

PROGRAM = Path(__file__).parent / "programs/train.py"
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
RESUMING = {"resume_from_checkpoint": True}

pytestmark = pytest.mark.slow


@contextmanager
def training(
    folder: Path,
    *,
    launcher: tuple[str, ...] = (),
    step_s: float = 0.05,
    job_id: str | None = None,
    **arguments: object,
) -> Iterator[subprocess.Popen[str]]:
    """A program that has done its first step of very many, in a process group of its own."""
    settings = json.dumps({"max_steps": 10_000, "save_strategy": "steps", "save_steps": 100_000, **arguments})
    name = ["--job-id", job_id] if job_id else []
    process = subprocess.Popen(
        [sys.executable, *launcher, PROGRAM, folder, "--arguments", settings, "--step-s", str(step_s), *name],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "step 1\n":
                break
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 138)])
def test_a_signal_ends_with_a_checkpoint(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with training(tmp_path) as process:
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == code, output
    [folder] = find_checkpoints(tmp_path / "logs/checkpoints")
    steps_done = int(re.findall(r"^step (\d+)$", output, re.MULTILINE)[-1]) if "\nstep" in output else 1
    assert read_trainer_state(folder)["global_step"] == steps_done
    assert f"Stopped at step {steps_done} of 10000. The checkpoint is {folder}" in output
    assert "--resume (resume_from_checkpoint: true)" in output
    assert not (tmp_path / "model.safetensors").exists()  # the final model is that of a run that ended


WAIT = "import os, sys; from fgc.cli.launching import wait; sys.exit(wait(sys.argv[1:], '.', os.environ))"


def test_a_warning_of_slurm_to_all_processes_saves_once(tmp_path: Path) -> None:
    """Without `B:` Slurm signals every process of a job: `fgc train`, torchrun and the training itself."""
    torchrun = ("-m", "fgc_runtime.start", "torch.distributed.run", *TORCHRUN[2:])
    with training(tmp_path, launcher=("-c", WAIT, sys.executable, *torchrun)) as process:
        for pid in descendants(process.pid):
            os.kill(pid, signal.SIGUSR1)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 138, output
    assert len(find_checkpoints(tmp_path / "logs/checkpoints")) == 1, output


def descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(found for child in children for found in descendants(int(child)))]


def test_what_follows_a_warning_is_no_second_request(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    monkeypatch.setattr("fgc_runtime.trainers.loop.control.time.monotonic", lambda: now_s[0])
    with Interrupts(is_announced=False) as interrupts:
        signal.raise_signal(signal.SIGUSR1)
        now_s[0] = 5.0  # a machine with much to do
        signal.raise_signal(signal.SIGTERM)
        assert interrupts.agreed(interrupts.flags) == signal.SIGUSR1
        with pytest.raises(SystemExit):
            signal.raise_signal(signal.SIGTERM)


def test_processes_that_load_data_do_not_die_of_ctrl_c(tmp_path: Path) -> None:
    with training(tmp_path, dataloader_num_workers=2) as process:
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert len(find_checkpoints(tmp_path / "logs/checkpoints")) == 1
    assert output.count("Stopping after this step") == 1
    assert "Traceback" not in output


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    with training(tmp_path, step_s=20) as process:
        process.send_signal(signal.SIGINT)
        time.sleep(1)
        sent_s = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - sent_s < 10
    assert not find_checkpoints(tmp_path / "logs/checkpoints")


def test_two_processes_stop_at_the_same_step(tmp_path: Path) -> None:
    with training(tmp_path, launcher=("-m", "fgc_runtime.start", *TORCHRUN[1:])) as process:  # as `fgc train` does
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does: torchrun and its processes all get it
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    [folder] = find_checkpoints(tmp_path / "logs/checkpoints")
    assert f"The checkpoint is {folder}" in output
    assert "Traceback" not in output  # neither the program's nor torchrun's


def test_a_command_reaches_two_processes_within_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="fgc-") as jobs:
        monkeypatch.setenv("FGC_JOBS_DIR", jobs)
        with training(tmp_path, launcher=tuple(TORCHRUN), job_id="pair") as process:
            job = control.find_job("pair")
            assert len(job.pids) == 2
            stacks = control.ask(job, "stacks", timeout_s=10)["stacks"]
            assert isinstance(stacks, dict)
            assert all("trainer.py" in stacks[rank] for rank in ("0", "1"))
            before = control.ask(job, "status", timeout_s=10)
            answer = control.ask(job, "save-stop", timeout_s=30)
            output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
        [folder] = find_checkpoints(tmp_path / "logs/checkpoints")
        assert answer["step"] == read_trainer_state(folder)["global_step"]
        assert int(str(answer["step"])) - int(str(before["step"])) <= 3  # each step takes 50 ms, both answers some
        assert not list(Path(jobs).iterdir())


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    with training(tmp_path, save_steps=1) as process:
        while not find_checkpoints(tmp_path / "logs/checkpoints"):
            time.sleep(0.01)
        process.kill()
    latest = latest_checkpoint(tmp_path / "logs/checkpoints")
    assert latest is not None
    step = int(latest.name.removeprefix("checkpoint-"))
    arguments = {"max_steps": step + 2, "resume_anyway": True, **RESUMING}  # fewer steps bend the schedule
    done = subprocess.run(
        [sys.executable, PROGRAM, tmp_path, "--arguments", json.dumps(arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert f"Resuming at step {step} from {latest}" in done.stdout
    assert re.findall(r"^step (\d+)$", done.stdout, re.MULTILINE) == [str(step + 1), str(step + 2)]
