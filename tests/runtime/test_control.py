"""A running training is shown, saved, stopped and aborted from outside, by its owner only."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fgc_runtime import control
from fgc_runtime.callbacks import TrainerCallback, TrainerControlCallback, TrainingRun
from fgc_runtime.checkpoint import find_checkpoints, read_trainer_state
from fgc_runtime.control import client
from fgc_runtime.control.__main__ import main
from fgc_runtime.control.jobs import claimed_folder
from fgc_runtime.control.mailbox import Mailbox
from fgc_runtime.trainers import Trainer, TrainingInterrupted

MakeTrainer = Callable[..., Trainer]


@pytest.fixture(autouse=True)
def jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of jobs of the test's own; its path must be short."""
    with tempfile.TemporaryDirectory(prefix="fgc-") as folder:
        monkeypatch.setenv("FGC_JOBS_DIR", folder)
        yield Path(folder)


class At(TrainerCallback):
    """Runs a command line in another thread, at a step or in an evaluation; the loop goes on meanwhile."""

    def __init__(self, *words: str, step: int = 2, during: str = "training") -> None:
        self.words, self.step, self.during = words, step, during
        self.code: Future[int] | None = None

    def on_poll(self, run: TrainingRun) -> None:
        if self.code is None and run.state.global_step == self.step and run.phase == self.during:
            server = control.find_jobs()[0]
            before = threading.active_count()
            self.code = Future()
            threading.Thread(target=self._run, daemon=True).start()
            while not self.code.done() and threading.active_count() < before + 2:  # ours, and the server's for it
                time.sleep(0.001)
            if self.words[0] in ("stacks", "status"):  # answered while the loop does something else
                self.code.result(10)
            time.sleep(0.02)  # so that it comes before the next step in this test, as it may in life
            assert server.is_alive

    def _run(self) -> None:
        assert self.code is not None
        self.code.set_result(main(self.words))

    @property
    def exit_code(self) -> int:
        assert self.code is not None
        return self.code.result(10)


def controlled(make_trainer: MakeTrainer, *callbacks: TrainerCallback, **more: Any) -> Trainer:
    settings: dict[str, Any] = {"max_steps": 40, "logging_steps": 1, **more}
    return make_trainer(callbacks=[*callbacks, TrainerControlCallback("job")], **settings)


def steps_of(trainer: Trainer) -> list[int]:
    return [int(path.name.split("-")[1]) for path in find_checkpoints(trainer.output_dir / "checkpoints")]


def test_save_is_done_before_the_step_after_next(make_trainer: MakeTrainer, capsys: pytest.CaptureFixture[str]) -> None:
    caller = At("save", "job")
    trainer = controlled(make_trainer, caller)
    trainer.train()
    assert caller.exit_code == 0
    [step] = steps_of(trainer)
    assert step in (2, 3)
    assert trainer.state.global_step == 40
    assert capsys.readouterr().out == f"saved {trainer.logging_dir / 'checkpoints' / f'checkpoint-{step}'}\n"


def test_stop_ends_like_a_finished_run(make_trainer: MakeTrainer, capsys: pytest.CaptureFixture[str]) -> None:
    caller = At("stop", "job")
    trainer = controlled(make_trainer, caller, save_strategy="steps")
    totals = trainer.train()
    assert caller.exit_code == 0
    assert trainer.state.global_step in (2, 3)
    assert totals["train_steps"] == trainer.state.global_step
    assert steps_of(trainer) == [trainer.state.global_step]
    assert f"ended at step {trainer.state.global_step} of 40; the newest checkpoint is" in capsys.readouterr().out


def test_stop_saves_nothing_in_a_run_that_saves_nothing(make_trainer: MakeTrainer) -> None:
    trainer = controlled(make_trainer, At("stop", "job"))
    trainer.train()
    assert steps_of(trainer) == []


@pytest.mark.parametrize("async_save", [True, False])
def test_save_stop_leaves_a_checkpoint_to_go_on_from(make_trainer: MakeTrainer, async_save: bool) -> None:
    caller = At("save-stop")  # the only job
    trainer = controlled(make_trainer, caller, async_save=async_save)
    with pytest.raises(TrainingInterrupted) as ended:
        trainer.train()
    assert ended.value.exit_code == 0
    assert caller.exit_code == 0
    assert steps_of(trainer) == [trainer.state.global_step]
    resumed = make_trainer(max_steps=40, resume_from_checkpoint=True)
    resumed.train()
    assert resumed.callbacks[0].logs[0]["step"] == trainer.state.global_step + 1


def test_abort_writes_nothing_more(make_trainer: MakeTrainer) -> None:
    caller = At("abort", "job")
    trainer = controlled(make_trainer, caller, save_strategy="steps")
    with pytest.raises(TrainingInterrupted) as ended:
        trainer.train()
    assert ended.value.exit_code == 1
    assert caller.exit_code == 0
    assert steps_of(trainer) == []


@pytest.mark.parametrize("command", ["save", "stop", "save-stop", "abort"])
def test_an_evaluation_does_not_make_anybody_wait(make_trainer: MakeTrainer, examples: Any, command: str) -> None:
    seen: list[int] = []

    class Data(list[Any]):
        def __getitem__(self, index: Any) -> Any:
            example = super().__getitem__(index)
            seen.append(index)
            return example

    caller = At(command, "job", step=2, during="evaluating")
    trainer = controlled(
        make_trainer,
        caller,
        eval_dataset=Data(examples(50)),
        eval_strategy="steps",
        eval_steps=2,
        max_steps=2,
        per_device_eval_batch_size=1,
    )
    try:
        trainer.train()
    except TrainingInterrupted:
        assert command in ("save-stop", "abort")
    assert caller.exit_code == 0
    assert steps_of(trainer) == ([2] if "save" in command else [])
    assert len(seen) == 50 if command == "save" else len(seen) < 10
    if steps_of(trainer):
        assert read_trainer_state(trainer.output_dir / "checkpoints/checkpoint-2")["global_step"] == 2


def test_a_command_in_an_evaluation_changes_no_number(make_trainer: MakeTrainer, examples: Any, recorder: Any) -> None:
    settings = {"eval_dataset": examples(9), "eval_strategy": "steps", "eval_steps": 2, "max_steps": 6}
    straight = make_trainer(**settings)
    straight.train()
    controlled(make_trainer, recorder, At("save", during="evaluating"), **settings).train()
    metrics = [
        [record[key] for record in logs for key in ("loss", "eval_loss") if key in record]
        for logs in (straight.callbacks[0].logs, recorder.logs)
    ]
    assert metrics[0] == metrics[1]
    assert len(metrics[0]) == 9


def test_status_tells_where_the_run_stands(make_trainer: MakeTrainer, capsys: pytest.CaptureFixture[str]) -> None:
    caller = At("status", "job", "--format", "json", step=4)
    trainer = controlled(make_trainer, caller)
    trainer.train()
    assert caller.exit_code == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["job_id"], status["state"], status["step"], status["max_steps"]) == ("job", "training", 4, 40)
    assert status["loss"] > 0
    assert status["tokens_per_second"] > 0
    assert 0 < status["seconds_left"] < 60
    assert status["output_dir"] == str(trainer.output_dir.absolute())


def test_intervals_change_while_it_runs(make_trainer: MakeTrainer, recorder: Any) -> None:
    trainer = controlled(make_trainer, recorder, At("set", "logging_steps=10"))
    trainer.train()
    assert [record["step"] for record in recorder.logs if "loss" in record][-4:] == [10, 20, 30, 40]


@pytest.mark.parametrize("during", ["training", "evaluating"])
def test_an_interval_that_the_run_refuses_is_not_said_to_be_done(
    make_trainer: MakeTrainer, examples: Any, capsys: pytest.CaptureFixture[str], during: str
) -> None:
    caller = At("set", "save_steps=3", during=during)
    best = {"metric_for_best_model": "eval_loss", "greater_is_better": False, "load_best_model_at_end": True}
    saving = {"save_strategy": "steps", "save_steps": 4, "eval_strategy": "steps", "eval_steps": 2}
    trainer = controlled(make_trainer, caller, max_steps=8, eval_dataset=examples(6), **saving, **best)
    trainer.train()
    assert caller.exit_code == 1
    told = capsys.readouterr().err
    assert "fgc: intervals stay as they are: save_steps (3) must be a multiple of eval_steps (2)" in told
    assert trainer.args.save_steps == 4


def test_a_command_of_which_a_part_is_refused_changes_nothing(make_trainer: MakeTrainer) -> None:
    caller = At("set", "logging_steps=7", "learning_rate=5")
    trainer = controlled(make_trainer, caller, max_steps=4)
    trainer.train()
    assert (caller.exit_code, trainer.args.logging_steps) == (1, 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["set", "learning_rate=5"], "fgc: learning_rate cannot be set in a running job; logging_steps, eval_steps"),
        (["set", "eval_steps=0"], "fgc: eval_steps (0) must be at least 1"),
        (["set", "eval_steps=few"], "fgc: `eval_steps=few` must be NAME=STEPS"),
        (["status", "jbo"], "fgc: there is no job `jbo`; did you mean `job`?"),
        (["stop", "other"], "fgc: there is no job `other`; there are job"),
    ],
)
def test_mistakes_are_named(
    make_trainer: MakeTrainer, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    caller = At(*words)
    trainer = controlled(make_trainer, caller, max_steps=4)
    trainer.train()
    assert caller.exit_code in (1, 2)
    assert message in capsys.readouterr().err
    assert trainer.state.global_step == 4


def test_stacks_show_the_training_loop(make_trainer: MakeTrainer, capsys: pytest.CaptureFixture[str]) -> None:
    caller = At("stacks")
    controlled(make_trainer, caller).train()
    assert caller.exit_code == 0
    output = capsys.readouterr().out
    assert output.startswith("process 0:\n")
    assert "trainer.py" in output


def test_nothing_is_left_when_a_run_ends(make_trainer: MakeTrainer, jobs: Path) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    controlled(make_trainer, max_steps=2).train()
    assert list(jobs.iterdir()) == []
    assert signal.getsignal(signal.SIGUSR1) == before


def test_a_failed_run_leaves_nothing_either(make_trainer: MakeTrainer, jobs: Path) -> None:
    class Fails(TrainerCallback):
        def on_step_end(self, run: TrainingRun) -> None:
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        controlled(make_trainer, Fails()).train()
    assert list(jobs.iterdir()) == []


def test_without_a_name_it_is_called_after_its_output_folder(make_trainer: MakeTrainer) -> None:
    names: list[str] = []

    class Looks(TrainerCallback):
        def on_step_end(self, run: TrainingRun) -> None:
            names.extend(job.job_id for job in control.find_jobs())

    make_trainer(callbacks=[TrainerControlCallback(), Looks()], max_steps=1).train()
    assert names == [f"out-{os.getpid()}"]


def test_a_name_that_a_running_job_has_is_refused(make_trainer: MakeTrainer) -> None:
    class StartsAnother(TrainerCallback):
        def on_step_end(self, run: TrainingRun) -> None:
            with pytest.raises(ValueError, match=r"job_id \('job'\) is that of a running job"):
                controlled(make_trainer, max_steps=1).train()

    controlled(make_trainer, StartsAnother(), max_steps=1).train()
    with pytest.raises(ValueError, match=r"job_id \('a b'\) must be 1 to 63 letters"):
        make_trainer(callbacks=[TrainerControlCallback("a b")]).train()


def test_a_folder_that_cannot_be_used_stops_no_training(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FGC_JOBS_DIR", str(tmp_path / "file/jobs"))
    with pytest.warns(UserWarning, match="`fgc control` cannot reach this run: the folder of jobs cannot be made"):
        make_trainer(callbacks=[TrainerControlCallback()], max_steps=1).train()


# --- who may command -------------------------------------------------------------------------------------------------


@pytest.fixture
def server(jobs: Path) -> Iterator[control.ControlServer]:
    with claimed_folder("alone") as folder:
        job = control.Job("alone", folder, os.getpid(), "2026-01-01T00:00:00+00:00", "train.py", "out", "logs")
        server = control.ControlServer(job.address, {"status": lambda: {"phase": "training"}})
        job.write()
        yield server
        server.close("closed")


def test_the_folder_and_the_socket_are_the_owners_alone(server: control.ControlServer, jobs: Path) -> None:
    for path in (jobs, jobs / "alone"):
        assert path.stat().st_mode & 0o777 == 0o700
    assert (jobs / "alone/control.sock").stat().st_mode & 0o777 == 0o600


def test_another_user_is_turned_away_though_the_folder_lets_him_in(
    server: control.ControlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    [job] = control.find_jobs()
    assert control.ask(job, "status", timeout_s=5)["phase"] == "training"
    own = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own + 1)  # the caller is another user in the server's eyes
    with pytest.raises((ConnectionError, BrokenPipeError, IndexError)):
        control.ask(job, "status", timeout_s=5)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_real_other_user_is_turned_away(server: control.ControlServer, jobs: Path) -> None:
    address = str(jobs / "alone/control.sock")
    program = (
        "import os, socket, sys\n"
        "os.setuid(65534)\n"
        "connection = socket.socket(socket.AF_UNIX)\n"
        "try:\n"
        "    connection.connect(sys.argv[1])\n"
        '    connection.sendall(b\'{"command": "status"}\\n\')\n'
        "    print(connection.recv(1000))\n"
        "except OSError as error:\n"
        "    print(type(error).__name__)\n"
    )

    def attempt() -> str:
        return subprocess.run([sys.executable, "-c", program, address], capture_output=True, text=True).stdout.strip()

    assert attempt() == "PermissionError"
    for path, mode in ((jobs, 0o755), (jobs / "alone", 0o755), (Path(address), 0o666)):
        path.chmod(mode)
    assert attempt() in ("b''", "ConnectionResetError", "BrokenPipeError")


def test_a_folder_that_others_can_enter_is_refused(jobs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs.chmod(0o755)
    assert main(["list"]) == 2
    assert f"{jobs} is open to other users: chmod 700 it" in capsys.readouterr().err


def test_no_port_is_opened(server: control.ControlServer) -> None:
    assert server.socket.family == socket.AF_UNIX


# --- jobs that died --------------------------------------------------------------------------------------------------

_JOB = """
import os, sys, time
from fgc_runtime import control
from fgc_runtime.control.jobs import claimed_folder
with claimed_folder(sys.argv[1]) as folder:
    job = control.Job(sys.argv[1], folder, os.getpid(), "2026-01-01T00:00:00+00:00", "train.py", "out", "logs")
    server = control.ControlServer(job.address, {"status": lambda: {"phase": "training", "step": 1, "max_steps": 9}})
    job.write()
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def killed_job() -> str:
    with subprocess.Popen([sys.executable, "-c", _JOB, "gone"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        assert control.find_job("gone").is_alive
        process.kill()
    return "gone"


def test_a_killed_job_is_known_to_be_dead_and_cleaned_up(
    killed_job: str, server: control.ControlServer, jobs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", "--format", "json"]) == 0
    assert {job["job_id"]: job["state"] for job in json.loads(capsys.readouterr().out)}["gone"] == "dead"
    assert main(["stop", "gone"]) == 1
    assert "job `gone` has ended without a goodbye" in capsys.readouterr().err
    assert main(["abort", "gone", "--force"]) == 1  # its number may be that of another process
    assert main(["cleanup"]) == 0
    assert capsys.readouterr().out == "removed what was left of gone\n"
    assert [path.name for path in jobs.iterdir()] == ["alone"]


def test_the_name_of_a_killed_job_can_be_used_again(killed_job: str, make_trainer: MakeTrainer) -> None:
    make_trainer(callbacks=[TrainerControlCallback(killed_job)], max_steps=1).train()


def test_a_job_that_hangs_is_seen_and_can_be_killed(jobs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with subprocess.Popen([sys.executable, "-c", _JOB, "hung"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            control.ask(control.find_job("hung"), "status", timeout_s=0.2)
        assert main(["abort", "hung", "--force"]) == 0
        assert process.wait(10) == -signal.SIGKILL
    assert "killed hung" in capsys.readouterr().out
    assert list(jobs.iterdir()) == []


def test_a_job_whose_queue_of_callers_is_full_hangs_and_is_not_dead(
    jobs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_CONNECT_S", 0.2)
    with subprocess.Popen([sys.executable, "-c", _JOB, "hung"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGSTOP)
        job, callers = control.find_job("hung"), []
        with pytest.raises(BlockingIOError):  # the last caller is refused
            while True:
                callers.append(socket.socket(socket.AF_UNIX))
                callers[-1].setblocking(False)
                callers[-1].connect(job.address)
        assert job.is_alive
        assert main(["cleanup"]) == 0
        assert job.folder.exists()
        assert main(["status", "hung"]) == 1
        assert "hung: does not answer within" in capsys.readouterr().out
        assert main(["save", "hung"]) == 1
        assert "job `hung` hangs" in capsys.readouterr().err
        for caller in callers:
            caller.close()
        process.kill()


def test_the_list_is_a_table(server: control.ControlServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.questions = {
        "status": lambda: {"phase": "saving", "step": 5, "max_steps": 10, "loss": 2.5, "seconds_left": 61}
    }
    assert main(["list"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["JOB", "STATE", "STEP", "LOSS", "TOKENS/S", "LEFT", "OUTPUT"]
    assert row.split() == ["alone", "saving", "5/10", "2.5000", "0:01:01", "out"]
    assert main(["status", "al"]) == 0  # an unambiguous beginning
    assert "alone: saving, step 5/10" in capsys.readouterr().out


def test_a_request_that_is_none_is_answered(server: control.ControlServer) -> None:
    [job] = control.find_jobs()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(job.address)
        connection.sendall(b"stop!\n")
        assert json.loads(connection.recv(1000))["state"] == "failed"
    assert "unknown command 'sing'" in str(control.ask(job, "sing", timeout_s=5)["message"])


def test_the_client_waits_for_no_torch() -> None:
    probe = "import sys, fgc_runtime.control.__main__; print('torch' in sys.modules or 'transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("action", ["list", "status", "save", "stop", "save-stop", "abort", "set", "stacks", "cleanup"])
def test_the_help_of_an_action_has_its_examples(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    from fgc_runtime.control.__main__ import main

    with pytest.raises(SystemExit):
        main([action, "--help"])
    examples = capsys.readouterr().out.partition("examples:\n")[2].splitlines()
    assert examples and all(line.split()[:3] == ["fgc", "control", action] for line in examples)


# --- from another machine --------------------------------------------------------------------------------------------


class Elsewhere(At):
    """`At` on a machine that shares the disk, but neither the jobs nor the name with this one."""

    def on_poll(self, run: TrainingRun) -> None:
        if self.code is None and run.state.global_step == self.step:
            record = run.logging_dir / "control/job.json"
            assert record.parent.stat().st_mode & 0o777 == 0o700
            assert {path.stat().st_mode & 0o777 for path in record.parent.iterdir()} <= {0o600, 0o644}
            record.write_text(record.read_text().replace(socket.gethostname(), "node-17"))
            self.code = Future()
            threading.Thread(target=self._run, daemon=True).start()
        if self.code is not None and not self.code.done() and run.state.global_step < run.max_steps - 1:
            time.sleep(0.1)  # a step of a real size


@pytest.mark.parametrize("command", ["save", "save-stop"])
def test_a_login_node_steers_through_files(
    make_trainer: MakeTrainer, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    terminal = Elsewhere(command, f"{tmp_path}/")
    trainer = controlled(make_trainer, terminal, max_steps=100, logging_steps=1000)
    if command == "save":
        trainer.train()
    else:
        with pytest.raises(TrainingInterrupted):
            trainer.train()
    assert terminal.exit_code == 0
    assert "checkpoint" in capsys.readouterr().out
    assert len(steps_of(trainer)) == 1
    assert not (trainer.logging_dir / "control").exists()


def test_a_mailbox_reads_nothing_but_its_owners_files(server: control.ControlServer, tmp_path: Path) -> None:
    [job] = control.find_jobs()
    mailbox = Mailbox(tmp_path / "control", job, server)
    secret = tmp_path / "secret"
    secret.write_text('{"command": "status"}')
    (mailbox.folder / "link.request.json").symlink_to(secret)
    os.mkfifo(mailbox.folder / "pipe.request.json")
    (mailbox.folder / "own.request.json").write_text('{"command": "status"}')
    mailbox._collect()
    mailbox.close()
    assert [path.name for path in mailbox.folder.iterdir()] == ["own.answer.json"]
    assert json.loads((mailbox.folder / "own.answer.json").read_text())["phase"] == "training"


def test_a_folder_in_the_mailboxs_place_commands_nothing(
    server: control.ControlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = Mailbox(tmp_path / "control", control.find_jobs()[0], server)
    (mailbox.folder / "theirs.request.json").write_text('{"command": "status"}')
    with monkeypatch.context() as patch:
        patch.setattr(os, "getuid", lambda: mailbox.folder.stat().st_uid + 1)  # folder and file are another's
        mailbox._collect()
    mailbox.close()
    assert not mailbox.folder.exists()


def test_a_run_whose_mailbox_was_removed_ends_well(make_trainer: MakeTrainer) -> None:
    class Removes(TrainerCallback):
        def on_step_end(self, run: TrainingRun) -> None:
            shutil.rmtree(run.logging_dir, ignore_errors=True)

    trainer = controlled(make_trainer, Removes(), max_steps=3)
    assert trainer.train()["train_steps"] == 3


def test_a_mailbox_that_others_can_enter_is_refused(server: control.ControlServer, tmp_path: Path) -> None:
    folder = tmp_path / "control"
    folder.mkdir(mode=0o755)
    with pytest.raises(control.UnsafeFolder, match="is open to other users"):
        Mailbox(folder, control.find_jobs()[0], server)


def test_a_distant_job_that_is_silent_for_long_is_told(
    server: control.ControlServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [job] = control.find_jobs()
    mailbox = Mailbox(tmp_path / "runs/first/control", replace(job, host="node-17"), server)
    try:
        os.utime(mailbox.folder / "status.json", (1e9, 1e9))
        assert main(["list", str(tmp_path)]) == 0
        assert capsys.readouterr().out.splitlines()[1].split() == ["alone", "dead", "out"]
        assert main(["status", f"{tmp_path}/runs"]) == 1
        assert "on node-17: it was killed, or its machine is gone" in capsys.readouterr().out
        assert main(["abort", "--force", f"{tmp_path}/runs"]) == 2
        assert main(["save", f"{tmp_path}/nowhere"]) == 2
    finally:
        mailbox.close()
