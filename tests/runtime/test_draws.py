"""Seed, epoch, place and process decide what data draws: workers, breaks and dropout change nothing."""

import random
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from fgc_runtime.callbacks import NormCallback, TrainerCallback, TrainingRun
from fgc_runtime.data.collator import DataCollatorForCausalLM
from fgc_runtime.data.draws import Draws, is_without_draws
from fgc_runtime.data.packing import PackedDataset
from fgc_runtime.data.stream_sources import FileStream
from fgc_runtime.data.windows import MapWindows, Share, StreamWindows, window_loader
from fgc_runtime.trainers import ResumeRefused, Trainer
from torch.utils.data import IterableDataset, get_worker_info

MakeTrainer = Callable[..., Trainer]


def drawn() -> list[float]:
    return [random.random(), float(numpy.random.rand()), float(torch.rand(()))]


class Draw(list[int]):
    """Rows hold three random numbers each, of the global generators."""

    def __getitem__(self, row: Any) -> Any:
        return drawn()


class DrawInOrder(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return (drawn() for _ in range(8))


def collate(rows: Any) -> Any:
    return {"input_ids": torch.tensor([[*row, *drawn()] for row in rows]), "labels": torch.ones(len(rows), 6).long()}


def numbers(kind: str, draws: Draws, *, workers: int = 0, start: int = 0) -> torch.Tensor:
    share = Share(2, rank=draws.rank, world_size=2)
    windows: Any = (
        MapWindows(Draw(range(8)), torch.arange(8), collate, share, start=start, draws=draws)  # type: ignore[arg-type]
        if kind == "map"
        else StreamWindows(DrawInOrder(), collate, share, start=start, draws=draws)
    )
    return torch.cat([w.micro_batches[0]["input_ids"] for w in window_loader(windows, num_workers=workers)])


@pytest.mark.parametrize("kind", ["map", "stream"])
def test_workers_and_breaks_change_no_draw_and_seed_epoch_and_rank_change_all(kind: str) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = numbers(kind, Draws(seed=1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(numbers(kind, Draws(seed=1), workers=1), first)
    assert torch.equal(numbers(kind, Draws(seed=1), start=4), first[2:])
    for other in (Draws(seed=2), Draws(seed=1, epoch=1), Draws(seed=1, rank=1)):
        assert not numpy.isin(numbers(kind, other), first).any()
    assert len(first.unique()) == first.numel()


def test_workers_begin_with_another_seed_in_each_epoch_and_process() -> None:
    def seeds(draws: Draws) -> set[int]:
        class Seeds(list[int]):
            def __getitem__(self, row: Any) -> Any:
                info = get_worker_info()
                assert info is not None
                return info.seed

        def as_labels(rows: Any) -> Any:
            return {"seed": rows[0], "labels": torch.ones(1, 2).long()}

        windows: Any = MapWindows(Seeds(range(2)), torch.arange(2), as_labels, Share(1), draws=draws)  # type: ignore[arg-type]
        return {window.micro_batches[0]["seed"] for window in window_loader(windows, num_workers=1)}

    found = [seeds(draws) for draws in (Draws(1), Draws(2), Draws(1, epoch=1), Draws(1, rank=1))]
    assert len(set.union(*found)) == 4
    assert seeds(Draws(1)) == found[0]


class StopOrSave(TrainerCallback):
    def __init__(self, *, save_at: int = -1) -> None:
        self.save_at = save_at

    def on_step_end(self, run: TrainingRun) -> None:
        run.control.should_save |= run.state.global_step == self.save_at


def test_a_save_on_demand_goes_on_as_if_nothing_had_been_where_data_draws(
    make_trainer: MakeTrainer, tiny_model: Any, recorder_class: Any, examples: Any, tmp_path: Any
) -> None:
    """The next window has been read, and its draws made, when the save is asked for."""
    rows = examples(24)

    class Noisy(list[Any]):
        def __getitem__(self, row: Any) -> Any:
            ids = super().__getitem__(row)["input_ids"].clone()
            ids[int(torch.randint(len(ids), ()))] = random.randrange(3, 60)
            return {"input_ids": ids}

    settings = {"train_dataset": Noisy(rows), "max_steps": 5, "save_strategy": "steps", "save_total_limit": None}
    straight, after = recorder_class(), recorder_class()
    make_trainer(model=tiny_model(dropout=0.3), callbacks=[straight, StopOrSave(save_at=2)], **settings).train()
    place = tmp_path / "out/checkpoints/checkpoint-2"
    settings |= {"resume_from_checkpoint": place, "output_dir": tmp_path / "other"}
    make_trainer(model=tiny_model(dropout=0.3), callbacks=[after], **settings).train()
    assert after.losses == straight.losses[2:]


def test_gradient_norms_are_in_every_record_when_the_interval_is_set_on_the_way(
    make_trainer: MakeTrainer, recorder: Any
) -> None:
    class Sets(TrainerCallback):
        def on_step_end(self, run: TrainingRun) -> None:
            if run.state.global_step == 4:
                run.control.intervals["logging_steps"] = 3

    make_trainer(callbacks=[Sets(), NormCallback(), recorder], logging_steps=4, max_steps=10, max_grad_norm=1e9).train()
    records = [record for record in recorder.logs if "loss" in record]
    assert [record["step"] for record in records] == [4, 6, 9, 10]
    assert [record["grad_norm/all"] for record in records] == pytest.approx([r["grad_norm"] for r in records])


def test_a_stream_of_files_that_changed_is_refused_by_their_names(make_trainer: MakeTrainer, tmp_path: Any) -> None:
    class Texts(FileStream):
        def items(self) -> Any:
            return ({"input_ids": torch.tensor([ord(letter) % 60 + 3 for letter in t])} for t in super().items())

    data = tmp_path / "data"
    (data / "more").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "more/a.txt"):
        (data / name).write_text(f"some text of {name}")
    settings = {"max_steps": 2, "save_strategy": "steps", "lr_scheduler_type": "constant", "callbacks": []}

    def run(**more: Any) -> None:
        make_trainer(train_dataset=Texts([data / "*.txt", data / "more/*.txt"]), **settings, **more).train()

    run()
    run(resume_from_checkpoint=True)
    (data / "b.txt").write_text("same text of b.txt")  # as long as before
    (data / "more/a.txt").rename(data / "more/c.txt")
    with pytest.raises(ResumeRefused) as refused:
        run(resume_from_checkpoint=True)
    lines = str(refused.value).splitlines()
    assert [line.strip() for line in lines if "data.files" in line] == [
        "data.files.b.txt has changed",
        "data.files.more/a.txt is gone",
        "data.files.more/c.txt is new",
    ]


def test_only_classes_that_say_so_themselves_go_without_generators() -> None:
    class Augmented(PackedDataset):
        def __getitem__(self, index: int) -> Any:
            return drawn()

    assert is_without_draws([1, 2])
    assert is_without_draws(DataCollatorForCausalLM())
    assert not is_without_draws(Draw([1]))
    assert not is_without_draws(Augmented.__new__(Augmented))
    assert not is_without_draws(collate)
