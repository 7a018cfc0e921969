"""`fgc train`: what is started, where, with which devices, and how it ends."""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fgc.cli import devices
from fgc.cli.launching import wait

from .conftest import Run

CONFIG = (
    "meta: { config_class: type.program, nproc_per_node: %s }\nmain: !singleton:builtins:print [ {{ project_dir }} ]\n"
)


@pytest.fixture(autouse=True)
def _project(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "count_devices", lambda: 2)
    Path("forgather_workspace").mkdir()
    Path("p/templates/configs").mkdir(parents=True)
    Path("p/meta.yaml").write_text("name: P\nsystem_path: modules\n")
    write_config("2")


def write_config(processes: str) -> None:
    Path("p/templates/configs/a.yaml").write_text(CONFIG % processes)


def test_a_dry_run_prints_the_command_with_a_program_that_is_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "count_devices", lambda: 0)
    result = run("-p", "p", "train", "-d", "0,1", "--dry-run")
    folder = Path.cwd() / "p"
    assert result.code == 0 and result.out.count("\n") == 1
    words = shlex.split(result.out)
    assert words[:3] == ["cd", str(folder), "&&"]
    assert "CUDA_VISIBLE_DEVICES=0,1" in words and f"PYTHONPATH={folder / 'modules'}" in " ".join(words)
    assert words[-4:-1] == ["--standalone", "--nproc-per-node", "2"]
    program = Path(words[-1])
    assert program.is_file() and sorted(path.name for path in folder.iterdir()) == ["meta.yaml", "templates"]
    before = program.read_bytes()
    program.write_text("edited")
    assert shlex.split(run("-p", "p", "train", "--dry-run").out)[-1] == str(program)
    assert program.read_bytes() == before


def test_a_dry_run_leaves_the_folder_alone_that_output_names(run: Run) -> None:
    assert run("-p", "p", "train", "-o", "mine", "--dry-run").out.endswith(f"{Path.cwd()}/mine/train.py\n")
    assert not Path("mine").exists()


@pytest.mark.slow
def test_files_of_the_project_shadow_no_module() -> None:
    for name in ("logging", "types", "random", "torch"):
        Path(f"p/{name}.py").write_text("raise SystemExit('shadowed')\n")
    write_config("1")
    fgc = [sys.executable, "-P", "-m", "fgc", "train"]
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    done = subprocess.run(fgc, cwd="p", env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{Path.cwd() / 'p'}\n"), done.stderr


@pytest.mark.parametrize(
    ("processes", "words", "expected"),
    [
        ("2", (), "--standalone --nproc-per-node 2 "),
        ("gpu", ("-d", "1"), f" {sys.executable} "),
        ("1", (), f" {sys.executable} "),
        ("1", ("--", "--nnodes", "2"), "--nproc-per-node 1 --nnodes 2 "),
        ("auto", (), "--nproc-per-node auto "),
        ("2", ("--", "--nnodes", "3"), "--nproc-per-node 2 --nnodes 3 "),
        ("2", ("--", "--nproc-per-node=4"), "--standalone --nproc-per-node=4 "),
        ("2", ("-d", "cpu"), "CUDA_VISIBLE_DEVICES=''"),
        ("2", ("--resume",), "train.py --resume\n"),
        ("2", ("--resume", "here"), "/here\n"),
    ],
)
def test_processes_devices_and_words_for_torchrun(
    run: Run, processes: str, words: tuple[str, ...], expected: str
) -> None:
    write_config(processes)
    assert expected in run("-p", "p", "train", "--dry-run", *words).out


def test_tasks_of_slurm_are_one_training(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    step = {"STEP_NUM_TASKS": "2", "STEP_NUM_NODES": "2", "NODEID": "1", "STEP_NODELIST": "n[07-08]", "JOB_ID": "4711"}
    for name, value in step.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    meeting = "--nnodes 2 --node-rank 1 --master-addr n07 --master-port 16711 --nproc-per-node 2 "
    assert meeting in run("-p", "p", "train", "--dry-run").out
    assert "--standalone" in run("-p", "p", "train", "--dry-run", "--", "--standalone").out
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    assert f" {sys.executable} " in run("-p", "p", "train", "--dry-run").out
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert "--standalone --nproc-per-node 2 " in run("-p", "p", "train", "--dry-run").out


GUIDE = Path(__file__).parents[3] / "docs/guide/runs.md"
FGC = """#!/bin/bash
trap 'echo warned >> log; sleep 0.3; exit 138' USR1
echo "$@" >> log
for _ in $(seq 100); do sleep 0.05; done
exit 0
"""


@pytest.mark.parametrize(("is_warned", "log"), [(True, "train --resume\nwarned\nrequeue 4711\n"), (False, None)])
def test_the_script_for_slurm_goes_on_in_a_new_job(tmp_path: Path, is_warned: bool, log: str | None) -> None:
    script = GUIDE.read_text(encoding="utf-8").partition("```sh\n#!/bin/bash")[2].partition("```")[0]
    assert "#SBATCH --signal=B:USR1@" in script, "what the batch shell gets"
    programs = {"fgc": FGC, "srun": '#!/bin/bash\nexec "$@"\n', "scontrol": '#!/bin/bash\necho "$@" >> log\n'}
    for name, text in programs.items():
        (tmp_path / name).write_text(text if is_warned else text.replace("seq 100", "seq 1"))
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "4711"}
    with subprocess.Popen(["bash", "-c", script], cwd=tmp_path, env=environment) as shell:
        while is_warned and not (tmp_path / "log").exists():
            time.sleep(0.02)
        if is_warned:
            shell.send_signal(signal.SIGUSR1)
        assert shell.wait(30) == 0
    assert (tmp_path / "log").read_text() == (log or "train --resume\n")


TRAINING = """\
dir: &dir {{ output_dir | default('x') | toyaml }}
main: !singleton:fgc_runtime.script:TrainingScript { trainer: *dir }
"""
DECLARES = "dynamic_args: { output_dir: { help: mine } }\n"


def test_options_of_a_training_go_to_the_program_unless_they_are_the_configurations(run: Run) -> None:
    config = Path("p/templates/configs/a.yaml")
    config.write_text(TRAINING.replace("{{ output_dir | default('x') | toyaml }}", "x"))
    dry = ("-p", "p", "train", "--dry-run", "--output-dir", "here", "--run-name", "wide")
    assert f"train.py --output-dir {Path.cwd()}/here --run-name wide\n" in run(*dry).out
    config.write_text(TRAINING + DECLARES)
    printed = run(*dry).out
    assert printed.endswith("train.py --run-name wide\n")
    program = Path(shlex.split(printed)[-3]).read_text()
    assert "'here'" in program or '"here"' in program
    assert program.count('"--output-dir"') == 1
    write_config("1")
    result = run(*dry)
    assert (result.code, result.out) == (2, "") and "`a.yaml` has no option `--output-dir`" in result.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-d", "0"), "`a.yaml` has 2 processes per node, and `-d 0` gives 1"),
        (("-d", "0,0"), "names a device twice"),
        (("-d", "x"), "write device numbers such as `0,1`"),
    ],
)
def test_devices_that_cannot_be_had(run: Run, words: tuple[str, ...], message: str) -> None:
    result = run("-p", "p", "train", "--dry-run", *words)
    assert (result.code, result.out) == (2, "") and message in result.err


def test_devices_that_are_not_there_stop_a_training(run: Run) -> None:
    message = "there is no device 9 here: the devices are 0, 1; `-d cpu` trains on the CPU"
    assert message in run("-p", "p", "train", "-d", "9,1").err


@pytest.mark.parametrize("processes", ["0", "-1", "many", "true"])
def test_a_count_of_processes_that_is_none(run: Run, processes: str) -> None:
    write_config(processes)
    assert "must be a count" in run("-p", "p", "train", "--dry-run").err


def test_a_configuration_with_errors_is_not_started(run: Run) -> None:
    Path("p/templates/configs/a.yaml").write_text("main: {{ nope }}\n")
    result = run("-p", "p", "train")
    assert result.code == 1 and "FGC203" in result.err


@pytest.mark.slow
def test_the_program_runs_in_the_folder_of_the_project(run: Run) -> None:
    write_config("1")
    touch = "pathlib:Path.touch [ !call:pathlib:Path [ ran_here ] ]"
    Path("p/templates/configs/a.yaml").write_text(f"main: !singleton:{touch}\n")
    result = run("-p", "p", "train")
    assert result.code == 0, result.err
    assert Path("p/ran_here").exists()
    printed = shlex.split(run("-p", "p", "train", "--dry-run").out)
    builds = Path(os.environ["FGC_CACHE_DIR"], "builds")
    assert [str(path) for path in builds.glob("*/train.py")] == printed[-1:]


def _child(tmp_path: Path, body: str) -> list[str]:
    ready = tmp_path / "ready"
    start = f"import pathlib, signal, sys, time\nsignal.signal(signal.SIGINT, lambda *_: {body})\n"
    wait = f"pathlib.Path({str(ready)!r}).touch()\nwhile True: time.sleep(0.05)\n"
    return [sys.executable, "-c", start + wait]


@pytest.mark.parametrize(("body", "expected"), [("sys.exit(0)", 0), ("sys.exit(7)", 130)])
def test_ctrl_c_reaches_the_program_which_ends_by_itself(tmp_path: Path, body: str, expected: int) -> None:
    def interrupt() -> None:
        while not (tmp_path / "ready").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert wait(_child(tmp_path, body), tmp_path, os.environ) == expected
    thread.join()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_exit_code_is_passed_on(tmp_path: Path) -> None:
    assert wait([sys.executable, "-c", "raise SystemExit(3)"], tmp_path, os.environ) == 3
    command = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    assert wait(command, tmp_path, os.environ) == 137


def test_a_warning_of_the_scheduler_reaches_torchrun_as_one_that_it_passes_on(tmp_path: Path) -> None:
    def warn() -> None:
        while not (tmp_path / "ready").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGUSR1)

    thread = threading.Thread(target=warn)
    thread.start()
    command = _child(tmp_path, "sys.exit(1)")
    command[-1] = command[-1].replace("SIGINT", "SIGTERM")
    assert wait(command, tmp_path, os.environ) == 128 + signal.SIGUSR1
    thread.join()


def test_a_deep_dry_run_rehearses_the_program_on_so_many_processes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr("fgc.cli.launching.wait", lambda command, *_: started.append(command) or 1)
    for words, ranks in (((), "2"), (("--ranks", "8", "--format", "json"), "8")):
        assert run("-p", "p", "train", "--dry-run=deep", *words).code == 1
        command = started.pop()
        assert command[1:5] == ["-P", "-m", "fgc_runtime.start", "fgc_runtime.rehearsal"]
        assert command[5].endswith("train.py") and command[7] == ranks
        assert command[-1] == ("json" if words else "text")
    write_config("auto")
    assert run("-p", "p", "train", "--dry-run=deep", "-d", "0").code == 1
    assert started.pop()[7] == "1"
    result = run("-p", "p", "train", "--dry-run=deep", "--ranks", "0")
    assert result.code == 2 and "at least one process" in result.err
