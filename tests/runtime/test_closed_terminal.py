"""A terminal that is closed while a training runs on it: the training saves and ends, or goes on under `nohup`."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fgc_runtime.checkpoint import find_checkpoints, read_trainer_state

PROGRAM = Path(__file__).parent / "programs/train.py"
# what `fgc train` and `fgc rerun` do with a command
WAIT = "import os, sys; from fgc.cli.launching import wait; sys.exit(wait(sys.argv[1:], '.', os.environ))"
TORCHRUN = ["-m", "fgc_runtime.start", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def words(folder: Path, **arguments: object) -> list[str]:
    settings = {"max_steps": 10_000, "save_strategy": "steps", "save_steps": 100_000, **arguments}
    return [str(PROGRAM), str(folder), "--arguments", json.dumps(settings), "--step-s", "0.05"]


def close_after_first_step(command: list[str], folder: Path) -> int:
    """Run it as the leader of a terminal of its own, close that when that has shown its first step; the exit code."""
    process, terminal = pty.fork()
    if process == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may themselves run under nohup
        os.chdir(folder)
        os.execv(command[0], command)
    text = b""
    try:
        while b"step 1\r\n" not in text:
            text += os.read(terminal, 4096)
    finally:
        os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [[], ["-c", WAIT, sys.executable, *TORCHRUN]], ids=["python", "fgc train"])
def test_a_closed_terminal_ends_with_a_checkpoint(tmp_path: Path, launcher: list[str]) -> None:
    folder = tmp_path / "output"
    assert close_after_first_step([sys.executable, *launcher, *words(folder)], tmp_path) == 129
    [checkpoint] = find_checkpoints(folder / "logs/checkpoints")
    assert 1 <= read_trainer_state(checkpoint)["global_step"] < 100
    record = json.loads((folder / "logs/run.json").read_text())
    assert (record["state"], record["exit_code"], record["checkpoint"]) == ("stopped", 129, str(checkpoint))
    assert not (folder / "model.safetensors").exists()


@pytest.mark.slow
def test_under_nohup_it_trains_on(tmp_path: Path) -> None:
    folder, said = tmp_path / "output", tmp_path / "nohup.out"
    program = [sys.executable, *words(folder, max_steps=30)]
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(tmp_path)
        os.execvp("nohup", ["nohup", sys.executable, "-c", WAIT, *program])
    while not (said.exists() and "step 1\n" in said.read_text()):
        time.sleep(0.05)
    os.kill(process, signal.SIGHUP)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    assert re.findall(r"^step (\d+)$", said.read_text(), re.MULTILINE)[-1] == "30"
    assert (folder / "model.safetensors").exists()


def _after_closing(code: str, tmp_path: Path) -> "subprocess.CompletedProcess[bytes]":
    """Run code whose output went to a terminal that has been closed, of which no signal tells it."""
    terminal, end = pty.openpty()
    wait_for_it = "import sys; sys.stdin.readline(); from fgc_runtime.output import say\n"
    command = [sys.executable, "-c", wait_for_it + code, str(tmp_path / "done")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=end, stderr=subprocess.PIPE) as process:
        os.close(end)
        os.close(terminal)
        _, errors = process.communicate(b"\n", timeout=30)
    return subprocess.CompletedProcess(command, process.returncode, None, errors)


def test_what_is_said_to_a_closed_terminal_is_lost_and_nothing_else(tmp_path: Path) -> None:
    done = _after_closing("say('a'); say('b'); print('c', flush=True); open(sys.argv[1], 'w')", tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "done").exists()
    assert _after_closing("print('c', flush=True)", tmp_path).returncode != 0  # the terminal was closed indeed


def test_a_full_disk_is_still_an_error() -> None:
    code = "from fgc_runtime.output import say; say('a')"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, check=False)
    assert b"No space left" in done.stderr


@pytest.mark.parametrize("has_hung_up", [True, False])
def test_a_reader_that_has_gone_is_no_error(has_hung_up: bool) -> None:
    code = "import sys; sys.stdin.readline(); from fgc_runtime.output import leave_closed_terminal, say\n"
    code += f"leave_closed_terminal(has_hung_up={has_hung_up}); say('a'); say('b')"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None and process.stdin is not None and process.stderr is not None
        process.stdout.close()
        process.stdin.write(b"\n")
        process.stdin.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, b"")


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]])
def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path, closed: list[int]) -> None:
    code = "import sys; from fgc_runtime.output import open_missing_streams, say\nopen_missing_streams()\n"
    code += "file = open(sys.argv[1], 'w'); say('said'); say('warned', is_warning=True); sys.stdout.isatty()\n"
    code += "import os; os.system('echo shouted')\nfile.write('kept')"
    streams = " ".join(f"{number}>&-" for number in closed)
    command = f'exec "$0" -c "$1" "$2" {streams}'
    words = [sys.executable, code, str(tmp_path / "file")]
    assert subprocess.run(["sh", "-c", command, *words], capture_output=True, check=False).returncode == 0
    assert (tmp_path / "file").read_text() == "kept"


def test_a_training_outlives_the_reader_of_its_output(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, *words(tmp_path, max_steps=4)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()  # as `| head -1` does
    assert process.returncode == 0
    assert any(tmp_path.rglob("model.safetensors"))
