"""A run keeps what it takes to repeat it, and is repeated to the bit."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fgc.cli.main import main
from fgc_runtime.verify.compare import differences

PROGRAM = Path(__file__).parent / "programs/dropout.py"
SHORT = {"max_steps": 4, "save_steps": 4, "eval_steps": 2, "logging_steps": 1}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a build has run once; the build itself is gone."""
    folder = tmp_path_factory.mktemp("project")
    build = folder / "out"
    (build / "sources").mkdir(parents=True)
    (build / "train.py").write_text("import sources.part\n" + PROGRAM.read_text())
    (build / "sources/part.py").write_text("# copied by the build\n")
    (build / "manifest.json").write_text(json.dumps({"outputs": {"train.py": "", "sources/part.py": ""}}))
    environment = {**os.environ, "FGC_TRAINING_ARGUMENTS": json.dumps(SHORT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "out/train.py"]
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=120, check=True)
    shutil.rmtree(build)
    return folder


def run_of(project: Path, output: str = "output_models/dropout") -> Path:
    [run] = (project / output / "runs").iterdir()
    return run


def test_a_run_holds_its_program_and_how_it_went(project: Path) -> None:
    run = run_of(project)
    record = json.loads((run / "run.json").read_text())
    assert (record["state"], record["step"], record["max_steps"], record["world_size"]) == ("finished", 4, 4, 1)
    assert record["folder"] == str(project)
    files = {str(path.relative_to(run / "program")) for path in (run / "program").rglob("*") if path.is_file()}
    assert files == {"train.py", "sources/part.py", "manifest.json"}


def test_a_run_is_repeated_to_the_bit_though_its_build_is_gone(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert main(["rerun", str(run_of(project)), "--output", str(project / "again")]) == 0, capfd.readouterr().err
    first, second = (project / name / "checkpoints/checkpoint-4" for name in ("output_models/dropout", "again"))
    assert differences(first, second) == []
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
    assert json.loads((run_of(project, "again") / "run.json").read_text())["state"] == "finished"


def test_other_data_are_refused(project: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = Path(shutil.copytree(run_of(project), tmp_path / "run"))
    record = json.loads((run / "run.json").read_text())
    record["fingerprint"]["data.num_examples"] = 23
    (run / "run.json").write_text(json.dumps(record))
    assert main(["rerun", str(run), "--output", str(tmp_path / "again")]) != 0
    error = capfd.readouterr().err
    assert f"this would not be {run} again:\n  data.num_examples was 23 and is 22" in error
    assert not (tmp_path / "again/checkpoints").is_dir() or not list((tmp_path / "again/checkpoints").iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda run: (run / "program/train.py").write_text("pass\n"),
            "is not the one that ran: train.py has been edited",
        ),
        (lambda run: (run / "program/sources/part.py").unlink(), "is not complete: sources/part.py is missing"),
        (lambda run: (run / "program/more.py").touch(), "is not the one that ran: more.py has been added"),
        (lambda run: (run / "run.json").unlink(), "is not a run: it has no readable run.json"),
        (lambda run: (run / "run.json").write_text("{"), "is not a run: it has no readable run.json"),
    ],
)
def test_what_is_not_as_it_was_is_refused(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: object, message: str
) -> None:
    run = Path(shutil.copytree(run_of(project), tmp_path / "run"))
    assert callable(change)
    change(run)
    assert main(["rerun", str(run)]) == 2
    assert message in capsys.readouterr().err


def test_the_command_is_shown(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_of(project)
    assert main(["rerun", str(run), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"cd {project} && FGC_TRAINING_ARGUMENTS=")
    assert f"FGC_SAME_AS={run} {sys.executable} {run}/program/train.py\n" in printed


def test_runs_are_listed_with_how_they_ended(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "output"
    shutil.copytree(run_of(project), output / "runs/first")
    killed = Path(shutil.copytree(run_of(project), output / "runs/second"))
    record = json.loads((killed / "run.json").read_text())
    (killed / "run.json").write_text(json.dumps({**record, "state": "running", "started_at": "2099"}))
    (output / "trained_by.json").write_text('{"run": "runs/first"}')
    assert main(["runs", "--folder", str(output)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines[:3]] == [
        ["RUN", "CONFIGURATION", "STATE", "STEP"],
        ["first", "train.py", "finished", "4/4"],
        ["second", "train.py", "killed", "4/4"],
    ]
    assert "eval_loss" in lines[1] and '{"max_steps": 4' in lines[1]
    assert lines[-1].endswith("is that of first")
    assert main(["runs", "--folder", str(output), "--format", "json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert first["loss"] > 0 and second["state"] == "killed"
    assert first["best"]["metric"] == "eval_loss" and (first["is_model"], second["is_model"]) == (True, False)
    assert main(["runs", "--folder", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("no runs in")


def test_a_run_with_a_secret_is_repeated_if_the_secret_is_set(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(run_of(project), tmp_path / "run"))
    (run / "program/train.py").write_text("import os, sys\nprint(sys.argv[1:], os.environ['FGC_TRAINING_ARGUMENTS'])\n")
    record = json.loads((run / "run.json").read_text())
    record["words"] = ["--key=(secret:MY_KEY)", "--set", "a.token=(secret:TOKEN)"]
    record["environment"] = {"FGC_TRAINING_ARGUMENTS": '{"hub_token": "(secret:TOKEN)"}'}
    record["files"]["train.py"] = "sha256:" + hashlib.sha256((run / "program/train.py").read_bytes()).hexdigest()
    (run / "run.json").write_text(json.dumps(record))
    monkeypatch.setenv("TOKEN", 'a"b')
    monkeypatch.delenv("MY_KEY", raising=False)
    assert main(["rerun", str(run)]) == 2
    assert "set MY_KEY" in capfd.readouterr().err
    assert main(["rerun", str(run), "--dry-run"]) == 0
    assert """ --key="$MY_KEY" --set a.token="$TOKEN"\n""" in capfd.readouterr().out
    monkeypatch.setenv("MY_KEY", "k")
    assert main(["rerun", str(run)]) == 0
    assert """['--key=k', '--set', 'a.token=a"b'] {"hub_token": "a\\"b"}""" in capfd.readouterr().out


@pytest.mark.parametrize(("metric", "is_greater", "best"), [(None, None, 2.0), ("accuracy", True, 0.5)])
def test_the_best_of_a_run_is_read_by_its_own_metric(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], metric: str | None, is_greater: bool | None, best: float
) -> None:
    folder = tmp_path / "runs/one"
    folder.mkdir(parents=True)
    about = {"state": "finished", "step": 58, "max_steps": 20_000, "metric": metric, "greater_is_better": is_greater}
    (folder / "run.json").write_text(json.dumps(about))
    losses = {19: 3.0, 38: 2.0, 58: 4.0}
    logged = [{"eval_loss": loss, "accuracy": loss / 8, "global_step": step} for step, loss in losses.items()]
    (folder / "trainer_logs.json").write_text("".join(json.dumps(record) + "\n" for record in logged) + '{"cut')
    assert main(["runs", "--folder", str(tmp_path), "--format", "json"]) == 0
    [found] = json.loads(capsys.readouterr().out)
    assert (found["best"]["value"], found["state"], found["step"]) == (best, "stopped", 58)
