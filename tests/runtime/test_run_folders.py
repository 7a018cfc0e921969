"""Each run owns its folder: trainings that share an output folder never mix, and each goes on from its own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fgc_runtime import runs
from fgc_runtime.checkpoint import DamagedCheckpoint, find_checkpoints, latest_in
from fgc_runtime.runs.repository import keep_repository
from fgc_runtime.script import TrainingScript
from fgc_runtime.trainers import ResumeRefused, Trainer

MakeTrainer = Callable[..., Trainer]
SAVING: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2, "lr_scheduler_type": "constant"}


def steps_of(trainer: Trainer) -> list[int]:
    return [int(path.name.split("-")[1]) for path in find_checkpoints(trainer.logging_dir / "checkpoints")]


@pytest.fixture
def as_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Be the program that was built from a configuration."""

    def be(name: str) -> None:
        folder = tmp_path / f"build-{name}"
        folder.mkdir(exist_ok=True)
        (folder / "train.py").touch()
        manifest = {"configuration": name, "outputs": {"train.py": ""}}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        monkeypatch.setattr(sys.modules["__main__"], "__file__", str(folder / "train.py"), raising=False)

    return be


@pytest.fixture
def living(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Makes runs whose process is there."""
    processes: list[subprocess.Popen[bytes]] = []

    def make(name: str = "other", **more: object) -> Path:
        process = subprocess.Popen(["sleep", "60"])
        processes.append(process)
        about = {"host": os.uname().nodename, "pid": process.pid}
        record = {"state": "running", "process": {**about, "started": runs.folders.process_start(process.pid)}, **more}
        folder = tmp_path / "out/runs" / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(record))
        return folder

    yield make
    for process in processes:
        process.kill()
        process.wait()


def test_two_runs_of_one_second_have_two_folders(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    first, second = make_trainer(max_steps=4, **SAVING), make_trainer(max_steps=2, **SAVING)
    first.train()
    second.train()
    assert first.logging_dir != second.logging_dir
    assert (steps_of(first), steps_of(second)) == ([2, 4], [2])
    assert (tmp_path / "out/checkpoints").resolve() == second.logging_dir / "checkpoints"


def test_a_resumed_run_counts_the_checkpoints_before_it(make_trainer: MakeTrainer) -> None:
    first = make_trainer(max_steps=4, **SAVING)
    first.train()
    second = make_trainer(max_steps=6, resume_from_checkpoint=True, **SAVING)
    second.train()
    assert (steps_of(first), steps_of(second)) == ([4], [6])  # save_total_limit 2
    third = make_trainer(max_steps=8, resume_from_checkpoint=True, **SAVING)
    third.train()
    assert (steps_of(first), steps_of(second), steps_of(third)) == ([], [6], [8])


def test_a_run_that_branches_off_leaves_the_other_alone(make_trainer: MakeTrainer) -> None:
    first = make_trainer(max_steps=4, **SAVING)
    first.train()
    start = first.logging_dir / "checkpoints/checkpoint-2"
    branch = make_trainer(max_steps=6, resume_from_checkpoint=start, **{**SAVING, "save_steps": 1})
    branch.train()
    assert (steps_of(first), steps_of(branch)) == ([2, 4], [5, 6])


def test_of_two_runs_that_go_on_from_one_neither_removes_its_checkpoints(make_trainer: MakeTrainer) -> None:
    first = make_trainer(max_steps=4, **SAVING)
    first.train()
    start = first.logging_dir / "checkpoints/checkpoint-4"
    second = make_trainer(max_steps=6, resume_from_checkpoint=start, **{**SAVING, "save_total_limit": None})
    TrainingScript(second).run()
    third = make_trainer(max_steps=10, resume_from_checkpoint=start, **SAVING)
    TrainingScript(third).run()
    assert (steps_of(first), steps_of(second), steps_of(third)) == ([2, 4], [6], [8, 10])
    fourth = make_trainer(
        max_steps=10, resume_from_checkpoint=second.logging_dir / "checkpoints/checkpoint-6", **SAVING
    )
    fourth.train()
    assert (steps_of(first), steps_of(second), steps_of(fourth)) == ([2, 4], [], [8, 10])


@pytest.mark.parametrize("folder", ["../other/runs/a/checkpoints", "/{tmp_path}/other/runs/a/checkpoints"])
def test_a_checkpoint_names_no_folder_elsewhere_from_which_to_remove(
    make_trainer: MakeTrainer, tmp_path: Path, folder: str
) -> None:
    other = make_trainer(max_steps=4, output_dir=tmp_path / "other", **SAVING)
    other.train()
    other.logging_dir.rename(tmp_path / "other/runs/a")
    first = make_trainer(max_steps=4, **SAVING)
    first.train()
    manifest = first.logging_dir / "checkpoints/checkpoint-4/checkpoint.json"
    about = json.loads(manifest.read_text())
    named = {"folder": folder.format(tmp_path=tmp_path), "last_step": 9, "is_taken_over": True}
    manifest.write_text(json.dumps({**about, "earlier": [named, "none", {}, {"folder": 1}]}))
    make_trainer(max_steps=8, resume_from_checkpoint=True, **SAVING).train()
    assert len(find_checkpoints(tmp_path / "other/runs/a/checkpoints")) == 2


def test_a_copy_of_a_checkpoint_resumes_under_any_name(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    first = make_trainer(max_steps=4, **SAVING)
    first.train()
    copy = tmp_path / "the best"
    shutil.copytree(first.logging_dir / "checkpoints/checkpoint-2", copy)
    second = make_trainer(max_steps=6, resume_from_checkpoint=copy, **SAVING)
    second.train()
    assert steps_of(second) == [4, 6]
    (copy / "trainer_state.json").write_text("{}")
    with pytest.raises(DamagedCheckpoint, match="the best is damaged"):
        make_trainer(max_steps=6, resume_from_checkpoint=copy, **SAVING).train()


@pytest.mark.parametrize("record", ["[]", '{"state": "running", "process": [1]}', '{"resumed_from": 5}', "no JSON"])
def test_a_record_that_is_none_stops_no_run(make_trainer: MakeTrainer, tmp_path: Path, record: str) -> None:
    first = make_trainer(max_steps=2, **SAVING)
    first.train()
    odd = tmp_path / "out/runs/odd"
    odd.mkdir()
    (odd / "run.json").write_text(record)
    second = make_trainer(max_steps=4, resume_from_checkpoint=True, **SAVING)
    second.train()
    assert second.resumed_from == first.logging_dir / "checkpoints/checkpoint-2"


def test_a_process_that_is_gone_is_no_living_run(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    process = {"host": os.uname().nodename, "pid": gone.pid, "started": None}  # of a kernel that did not say
    (tmp_path / "run.json").write_text(json.dumps({"state": "running", "process": process}))
    assert runs.living_run(tmp_path) is None and runs.has_ended(tmp_path)


def test_a_resume_takes_its_own_configurations_checkpoint(
    make_trainer: MakeTrainer,
    as_configuration: Callable[[str], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    as_configuration("one.yaml")
    make_trainer(max_steps=4, **SAVING).train()
    as_configuration("two.yaml")
    other = make_trainer(max_steps=2, resume_from_checkpoint=True, **SAVING)
    other.train()
    assert other.resumed_from is None
    assert "There is no checkpoint of two.yaml in" in capsys.readouterr().out
    as_configuration("one.yaml")
    own = make_trainer(max_steps=6, resume_from_checkpoint=True, **SAVING)
    own.train()
    assert own.resumed_from is not None and own.resumed_from.name == "checkpoint-4"
    assert steps_of(other) == [2]
    found, others = latest_in(tmp_path / "out", "two.yaml")
    assert found == other.logging_dir / "checkpoints/checkpoint-2"
    assert [path.name for path in others] == ["checkpoint-4", "checkpoint-6"]


def test_checkpoints_of_an_older_layout_resume_and_stay(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    first = make_trainer(max_steps=2, **SAVING)
    first.train()
    (tmp_path / "out/checkpoints").unlink()
    (first.logging_dir / "checkpoints").rename(tmp_path / "out/checkpoints")
    second = make_trainer(max_steps=4, resume_from_checkpoint=True, **SAVING)
    second.train()
    assert second.resumed_from == tmp_path / "out/checkpoints/checkpoint-2"
    assert [path.name for path in find_checkpoints(tmp_path / "out/checkpoints")] == ["checkpoint-2"]
    third = make_trainer(max_steps=6, resume_from_checkpoint=True, **SAVING)
    third.train()
    assert third.resumed_from == second.logging_dir / "checkpoints/checkpoint-4"


def test_a_resume_beside_the_living_run_is_refused_with_its_name(
    make_trainer: MakeTrainer, living: Callable[..., Path], as_configuration: Callable[[str], None]
) -> None:
    as_configuration("one.yaml")
    make_trainer(max_steps=4, **SAVING).train()
    other = living(configuration="one.yaml")
    with pytest.raises(ResumeRefused, match=rf"{other} \(process \d+\) is training this already"):
        make_trainer(max_steps=6, resume_from_checkpoint=True, **SAVING).train()
    anew = make_trainer(max_steps=2, **SAVING)
    anew.train()
    assert steps_of(anew) == [2]


def test_a_run_on_another_machine_that_has_not_ended_is_told(
    make_trainer: MakeTrainer, as_configuration: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    as_configuration("one.yaml")
    first = make_trainer(max_steps=2, **SAVING)
    TrainingScript(first, do_save=False).run([])
    record = first.logging_dir / "run.json"
    ended = json.loads(record.read_text())
    elsewhere = {"host": "another", "pid": 1, "started": "1"}
    for about, is_told in ((ended, False), ({**ended, "state": "running", "process": elsewhere}, True)):
        record.write_text(json.dumps(about))
        make_trainer(max_steps=3, resume_from_checkpoint=True, save_strategy="no", lr_scheduler_type="constant").train()
        told = f"warning: {first.logging_dir.name}, from whose checkpoint-2 this run goes on, may still be training"
        assert (told in capsys.readouterr().err) == is_told


def test_a_living_run_keeps_what_another_branches_off_from(
    make_trainer: MakeTrainer, living: Callable[..., Path], as_configuration: Callable[[str], None]
) -> None:
    as_configuration("one.yaml")
    first = make_trainer(max_steps=4, **SAVING)
    first.train()
    last = first.logging_dir / "checkpoints/checkpoint-4"
    living(resumed_from=str(last))
    make_trainer(max_steps=8, resume_from_checkpoint=last, **SAVING).train()
    assert steps_of(first) == [2, 4]


def test_the_folder_of_a_run_is_no_checkpoint_but_names_one(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    first = make_trainer(max_steps=2, **SAVING)
    first.train()
    for folder in (tmp_path / "out", first.logging_dir, first.logging_dir / "checkpoints"):
        with pytest.raises(FileNotFoundError, match=rf"{folder} is no checkpoint, .* latest is .*/checkpoint-2$"):
            make_trainer(max_steps=4, resume_from_checkpoint=folder, **SAVING).train()


def test_the_folder_that_cannot_be_made_is_named(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"logging_dir \('.*file/logs'\) cannot be written"):
        make_trainer(logging_dir=tmp_path / "file/logs").train()
    with pytest.raises(OSError, match=r"output_dir \('.*file/out'\) cannot be written"):
        make_trainer(output_dir=tmp_path / "file/out").train()


def test_a_folder_that_is_named_for_two_runs_is_refused(
    make_trainer: MakeTrainer, living: Callable[..., Path], tmp_path: Path
) -> None:
    folder = living()
    with pytest.raises(ValueError, match=rf"logging_dir .* is in use by {folder} \(process"):
        make_trainer(logging_dir=folder).train()


def test_a_model_folder_says_whose_model_it_holds(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    first, second = make_trainer(max_steps=1), make_trainer(max_steps=2, seed=1)
    for trainer in (first, second):
        TrainingScript(trainer).run()
    about = json.loads((tmp_path / "out/trained_by.json").read_text())
    assert (about["run"], about["step"]) == (f"runs/{second.logging_dir.name}", 2)
    kept = (first.logging_dir / "model/model.safetensors").read_bytes()
    assert kept != (tmp_path / "out/model.safetensors").read_bytes()
    assert (tmp_path / "out/model.safetensors").samefile(second.logging_dir / "model/model.safetensors")


def test_runs_take_turns_at_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = f"""
import sys
from pathlib import Path
from fgc_runtime.runs import turn_of
with turn_of(Path({str(tmp_path)!r}), "runs/first"):
    print("begun", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-P", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == "begun\n"
        assert (tmp_path / ".model.lock").read_text() == "runs/first\n"
        import threading

        threading.Timer(0.2, other.stdin.close).start()
        with runs.turn_of(tmp_path, "runs/second"):
            assert other.wait() == 0
    assert f"Waiting for runs/first, which is writing its model to {tmp_path}" in capsys.readouterr().out


@pytest.mark.parametrize(("told", "state"), [(False, "finished"), (True, "stopped")])
def test_a_run_that_was_told_to_end_has_not_finished(
    make_trainer: MakeTrainer, told: bool, state: str, recorder: Any
) -> None:
    if told:
        recorder.on_step_end = lambda run: setattr(run.control, "should_stop", run.state.global_step == 2)
    trainer = make_trainer(max_steps=4, callbacks=[recorder])
    TrainingScript(trainer).run()
    record = json.loads((trainer.logging_dir / "run.json").read_text())
    assert (record["state"], record["step"], record["max_steps"]) == (state, 2 if told else 4, 4)


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_run_keeps_what_its_repository_has_not_committed(tmp_path: Path) -> None:
    project, run = tmp_path / "project", tmp_path / "run"
    run.mkdir()
    assert keep_repository(tmp_path, run) is None
    git(tmp_path, "init", "-q", "project")
    (project / "a.yaml").write_text("lr: 1\n")
    git(project, "add", ".")
    git(project, "commit", "-qm", "first")
    commit = git(project, "rev-parse", "HEAD")
    clean = keep_repository(project, run)
    assert clean is not None and (clean["commit"], clean["uncommitted"], clean["untracked"]) == (commit, None, [])
    (project / "a.yaml").write_text("lr: 2\n")
    (project / "b.yaml").touch()
    changed = keep_repository(project, run)
    assert changed is not None and changed["untracked"] == ["b.yaml"]
    git(project, "checkout", "-q", ".")
    git(project, "apply", str(run / str(changed["uncommitted"])))
    assert (project / "a.yaml").read_text() == "lr: 2\n"
