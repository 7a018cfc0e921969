"""A disk without room: it is called that, whichever library writes, and what was there before stays whole."""

import errno
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc_runtime.callbacks import JsonLogCallback, TensorBoardCallback, TrainerCallback, TrainingRun
from fgc_runtime.callbacks.json_log import read_log
from fgc_runtime.checkpoint import find_checkpoints, verify
from fgc_runtime.checkpoint.modify import with_learning_rate
from fgc_runtime.convert.folders import complete_or_absent
from fgc_runtime.full_disk import reason_of, room_errors
from fgc_runtime.models.shards import ShardWriter, Wanted
from fgc_runtime.refusals import refusal_text
from fgc_runtime.runs import RunRecord
from fgc_runtime.trainers import SaveFailed, Trainer
from safetensors import SafetensorError

MakeTrainer = Callable[..., Trainer]
FULL = Path("/dev/full")  # every write to it finds no room


def fail_as_rust_does() -> None:
    raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


def save_with_torch() -> None:
    with FULL.open("wb") as file:
        torch.save({"weights": torch.zeros(10_000)}, file)


@pytest.mark.parametrize(
    "write",
    [save_with_torch, fail_as_rust_does, lambda: FULL.write_text("text")],
    ids=["torch", "safetensors", "Python"],
)
def test_whichever_library_writes_a_full_disk_is_called_that(write: Callable[[], None]) -> None:
    with pytest.raises(OSError, match="No space left") as raised, room_errors(Path("out")):
        write()
    assert raised.value.errno == errno.ENOSPC
    assert reason_of(raised.value) == "the disk is full (No space left on device)"
    assert refusal_text(raised.value).startswith("error: `out`: the disk is full (No space left on device)\n")


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(ValueError, match="mine") as raised, room_errors(Path("out")):
        raise ValueError("mine")
    assert reason_of(raised.value) == "ValueError: mine"
    with pytest.raises(PermissionError), room_errors(Path("out")):
        raise PermissionError(errno.EACCES, "Permission denied")


def _unlike_rust() -> None:
    raise RuntimeError("os error 280 of a bios error 28")


def _fail() -> None:
    raise ValueError("mine")


def _while_handling() -> None:
    try:
        FULL.write_text("text")
    except OSError:
        raise ValueError("mine") from None


@pytest.mark.parametrize("fail", [_unlike_rust, _while_handling])
def test_an_error_that_does_not_come_of_a_full_disk_is_not_called_that(fail: Callable[[], None]) -> None:
    with pytest.raises((RuntimeError, ValueError)), room_errors(Path("out")):
        fail()


def test_a_full_disk_that_is_handled_around_a_write_is_no_reason_of_its_error() -> None:
    try:
        FULL.write_text("text")
    except OSError:
        with pytest.raises(ValueError, match="mine"), room_errors(Path("out")):
            _fail()


@pytest.mark.parametrize(
    "text", ["I/O error: os error 28", 'Io(Os { code: 28, kind: StorageFull, message: "No space" })']
)
def test_a_full_disk_is_known_by_either_text_of_rust(text: str) -> None:
    with pytest.raises(OSError, match="No space left"), room_errors(Path("out")):
        raise RuntimeError(text)


@contextmanager
def limited_files(num_bytes: int) -> Iterator[None]:
    """Files of this process get no longer: a write fails in the middle of one, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class FillDisk(TrainerCallback):
    """Leaves no room for a checkpoint from a step on."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, run: TrainingRun) -> None:
        if run.state.global_step == self.step:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def test_a_checkpoint_that_finds_no_room_leaves_the_one_before_it(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    saving = {"save_strategy": "steps", "save_steps": 2, "async_save": False, "logging_dir": tmp_path / "run"}
    with limited_files(10**8), pytest.raises(SaveFailed, match=r"checkpoint-4 could not be written: .*File too large"):
        make_trainer(max_steps=6, callbacks=[FillDisk(3)], **saving).train()
    [left] = find_checkpoints(tmp_path / "run/checkpoints")
    assert verify(left)["step"] == 2
    assert [path.name for path in left.parent.iterdir()] == ["checkpoint-2"]
    resumed = make_trainer(max_steps=6, **saving)
    resumed.train(resume_from_checkpoint=left)
    assert resumed.state.global_step == 6


def test_a_model_that_finds_no_room_leaves_the_one_before_it(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer = make_trainer(max_steps=1)
    before = {path.name: path.read_bytes() for path in trainer.save_model(tmp_path / "model").iterdir()}
    trainer.train()
    with limited_files(20_000), pytest.raises(OSError, match="File too large"):
        trainer.save_model(tmp_path / "model")
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == before


def test_a_log_that_finds_no_room_ends_no_training(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from torch.utils.tensorboard import SummaryWriter

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(SummaryWriter, "add_scalar", fail)
    trainer = make_trainer(max_steps=3, callbacks=[TensorBoardCallback()])
    trainer.train()
    assert trainer.state.global_step == 3
    told = "warning: TensorBoard's file cannot be written: the disk is full (No space left on device); its scalars end"
    assert capsys.readouterr().err.count(told) == 1


def test_tensorboard_hides_no_error_that_is_not_of_its_file(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.utils.tensorboard import SummaryWriter

    def fail(*args: Any, **kwargs: Any) -> None:
        raise TypeError("mine")

    monkeypatch.setattr(SummaryWriter, "add_scalar", fail)
    with pytest.raises(TypeError, match="mine"):
        make_trainer(max_steps=1, callbacks=[TensorBoardCallback()]).train()


def test_a_log_that_cannot_be_opened_for_lack_of_room_waits_for_it(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opens, failures = Path.open, iter(range(2))

    def without_room(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name == "trainer_logs.json" and next(failures, None) is not None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return opens(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", without_room)
    make_trainer(max_steps=2, callbacks=[JsonLogCallback()], logging_dir=tmp_path).train()
    assert capsys.readouterr().err.count("the disk is full (No space left on device): log records wait in memory") == 1
    records = read_log(tmp_path / "trainer_logs.json")
    assert [record["global_step"] for record in records] == [0, 1, 2, 2]


def _modify(source: Path, target: Path) -> None:
    with_learning_rate(source, target, 0.5)


def _write_weights(_: Path, target: Path) -> None:
    wanted = Wanted("weight", (300, 300), torch.float32)
    with complete_or_absent(target) as folder, ShardWriter(folder, [wanted], 10**9) as writer:
        writer.write("weight", torch.zeros(300, 300))


def _begin_record(_: Path, target: Path) -> None:
    RunRecord(target, world_size=1, output_dir=target, resumed_from=None).begin({"numbers": "1" * 100_000})


@pytest.mark.parametrize("write", [_modify, _write_weights, _begin_record])
def test_every_writer_names_its_folder(
    make_trainer: MakeTrainer, tmp_path: Path, write: Callable[[Path, Path], None]
) -> None:
    saving = {"save_strategy": "steps", "save_steps": 1, "async_save": False, "logging_dir": tmp_path / "run"}
    make_trainer(max_steps=1, **saving).train()
    [checkpoint] = find_checkpoints(tmp_path / "run/checkpoints")
    target = tmp_path / "target"
    with limited_files(1000), pytest.raises(OSError, match="File too large") as raised:
        write(checkpoint, target)
    assert raised.value.filename == str(target)
