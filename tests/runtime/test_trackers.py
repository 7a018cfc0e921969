"""Loggers of other projects: what they are told, and that a training outlives them; the real ones where they are there.

`make test-loggers` installs them: they are no dependency of the other tests.
"""

import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from fgc_runtime.callbacks import MlflowCallback, TrackioCallback, TrainerCallback, TrainingRun, WandbCallback
from fgc_runtime.callbacks.tracking import End, Opened, TrackingCallback
from fgc_runtime.script import TrainingScript
from fgc_runtime.trainers import Trainer

sys.path += [folder for folder in [os.environ.get("FGC_TEST_LOGGERS")] if folder]
MakeTrainer = Callable[..., Trainer]
pytestmark = pytest.mark.slow


class Notebook(TrackingCallback):
    """A service that writes down what it is told, and fails where it is asked to."""

    package, service = "json", "Notebook"

    def __init__(self, *, fails_at: int | None = None, log_model: bool = False) -> None:
        super().__init__(log_model=log_model)
        self.fails_at = fails_at
        self.opened: list[tuple[Mapping[str, object], str | None]] = []
        self.numbers: list[tuple[int, Mapping[str, float]]] = []
        self.folders: list[str] = []
        self.end: End | None = None

    def _open(self, run: TrainingRun, facts: Mapping[str, object], earlier: str | None) -> Opened:
        self.opened.append((facts, earlier))
        return earlier or "page-1", "https://notebook/page-1"

    def _log_program(self, texts: Mapping[str, str]) -> None:
        pass

    def _log(self, numbers: Mapping[str, float], step: int) -> None:
        if step == self.fails_at:
            raise ConnectionError("the service is away\nwith more lines")
        self.numbers.append((step, numbers))

    def _log_folder(self, folder: Path) -> None:
        self.folders.append(folder.name)

    def _close(self, end: End) -> None:
        self.end = end


def test_a_service_is_told_arguments_numbers_checkpoints_and_the_end(make_trainer: MakeTrainer, examples: Any) -> None:
    book = Notebook(log_model=True)
    options = {"eval_dataset": examples(3), "eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps"}
    make_trainer(callbacks=[book], max_steps=4, logging_steps=2, save_steps=4, **options).train()
    facts, _ = book.opened[0]
    assert (facts["learning_rate"], facts["max_steps"], facts["world_size"]) == (1e-2, 4, 1)
    assert [step for step, numbers in book.numbers if "train/loss" in numbers] == [2, 4]
    assert all(math.isfinite(n["eval/loss"]) for _, n in book.numbers if "eval/loss" in n)
    assert (book.folders, book.end) == (["checkpoint-4"], "finished")


def test_a_service_that_is_away_ends_no_training_and_is_told_of_once(
    make_trainer: MakeTrainer, capsys: pytest.CaptureFixture[str]
) -> None:
    book = Notebook(fails_at=2)
    make_trainer(callbacks=[book], max_steps=3).train()
    said = capsys.readouterr().err
    assert [step for step, _ in book.numbers] == [1, 3, 3]
    assert said.count("Notebook did not accept the numbers of step 2: the service is away; training continues") == 1
    assert "Notebook did not accept 1 record\n" in said


def test_a_resumed_run_goes_on_under_the_id_of_the_first(make_trainer: MakeTrainer) -> None:
    options = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2}
    make_trainer(callbacks=[Notebook()], **options).train()
    again = Notebook()
    make_trainer(callbacks=[again], **options, resume_from_checkpoint=True).train()
    assert again.opened[0][1] == "page-1"


def test_a_training_that_fails_is_told_as_failed_and_one_that_is_stopped_as_stopped(make_trainer: MakeTrainer) -> None:
    class Breaks(TrainerCallback):
        def on_step_end(self, run: TrainingRun) -> None:
            raise RuntimeError("broken")

    class Stops(TrainerCallback):
        def on_step_end(self, run: TrainingRun) -> None:
            run.control.should_abort = True

    for other, error, end in ((Breaks(), RuntimeError, "failed"), (Stops(), SystemExit, "stopped")):
        book = Notebook()
        with pytest.raises(error):
            make_trainer(callbacks=[book, other], max_steps=3).train()
        assert book.end == end


def test_the_link_is_in_the_runs_record(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    TrainingScript(make_trainer(callbacks=[Notebook()], max_steps=1), do_save=False).run([])
    [record] = (tmp_path / "out/runs").glob("*/run.json")
    assert json.loads(record.read_text())["links"] == {"json": "https://notebook/page-1"}


def test_a_missing_package_is_told_before_anything_begins() -> None:
    class Absent(Notebook):
        package = "no_such_service"

    with pytest.raises(ModuleNotFoundError, match="Absent needs the package no_such_service"):
        Absent()


@pytest.fixture
def trained(make_trainer: MakeTrainer, examples: Any) -> Callable[[TrackingCallback], Trainer]:
    def train(callback: TrackingCallback) -> Trainer:
        options = {"eval_dataset": examples(3), "eval_strategy": "steps", "eval_steps": 2}
        trainer = make_trainer(callbacks=[callback], max_steps=2, save_strategy="steps", save_steps=2, **options)
        TrainingScript(trainer, do_save=False).run([])
        return trainer

    return train


@pytest.mark.filterwarnings("ignore")
def test_wandb_offline_writes_a_run_that_can_be_synced(trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    trainer = trained(WandbCallback(project="tiny", mode="offline", tags=["t"], log_model=True))
    [log] = trainer.logging_dir.glob("wandb/offline-run-*/run-*.wandb")
    content = log.read_bytes()
    for word in (b"train/loss", b"eval/loss", b"learning_rate", b"per_device_train_batch_size"):
        assert word in content
    record = json.loads((trainer.logging_dir / "run.json").read_text())
    assert record["links"]["wandb"] == str(log.parent)


@pytest.mark.filterwarnings("ignore")
def test_mlflow_keeps_numbers_arguments_and_checkpoints_in_a_database(trained: Any, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("alembic")
    uri = f"sqlite:///{tmp_path / 'm.db'}"
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    trainer = trained(MlflowCallback(tracking_uri=uri, experiment="tiny", log_model=True))
    client = mlflow.MlflowClient(tracking_uri=uri)
    [found] = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.params["learning_rate"] == "0.01"
    assert [metric.step for metric in client.get_metric_history(found.info.run_id, "train/loss")] == [1, 2]
    assert math.isfinite(found.data.metrics["eval/loss"])
    artifacts = trainer.output_dir / "mlartifacts"
    assert [*artifacts.rglob("checkpoint-2/model.safetensors")], "and nothing in the folder where the program started"
    assert not Path("mlruns").exists()


@pytest.mark.filterwarnings("ignore")
def test_trackio_keeps_numbers_on_this_machine(trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio")
    trained(TrackioCallback(project="tiny", name="first"))
    databases = [path for path in (tmp_path / "trackio").rglob("*") if path.suffix in (".db", ".sqlite")]
    assert databases and any(b"train/loss" in path.read_bytes() for path in databases)
