"""Makes the windows that the loop steps through: shuffled epochs for training, one pass for evaluation."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import torch

from fgc_runtime.callbacks import TrainerState
from fgc_runtime.data.collator import Batch
from fgc_runtime.data.draws import Draws
from fgc_runtime.data.windows import (
    MapWindows,
    Share,
    StreamWindows,
    Window,
    is_stream,
    keeps_whole_state,
    length_of,
    shuffled_order,
    window_loader,
)
from fgc_runtime.output import say
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.loop.nonfinite import StepOrigin
from fgc_runtime.trainers.strategies import Strategy

ExampleDataset = Any  # a data set of torch or `datasets`, or a list: with rows by number, or read in order
Collator = Callable[[Any], Batch]


def checked_dataset(name: str, dataset: ExampleDataset | None) -> ExampleDataset | None:
    """Returns the data set. Raises ValueError if its length is 0."""
    if dataset is not None and length_of(dataset) == 0:
        raise ValueError(f"{name} ({type(dataset).__name__}) must not be empty")
    return dataset


def train_share(args: TrainingArguments, strategy: Strategy) -> Share:
    """Returns the share of each step that this process trains on."""
    return Share(
        args.per_device_train_batch_size, args.gradient_accumulation_steps, strategy.data_rank, strategy.data_world_size
    )


def train_windows(
    dataset: ExampleDataset, collate: Collator, args: TrainingArguments, strategy: Strategy, state: TrainerState
) -> Iterator[Window]:
    """Yields windows of endless epochs, beginning at the counters of `state`, in which it counts epochs.

    The loop counts the examples. Raises ValueError if a whole epoch has none.
    """
    stated = length_of(dataset) if is_stream(dataset) and state.epoch == 0 else None
    while True:
        given = state.examples_in_epoch
        for window in _loaded(_epoch(dataset, collate, args, strategy, state), args, strategy):
            given += window.num_examples
            if stated is not None and (given != stated if window.ends_epoch else given >= stated):
                if strategy.world.is_main:
                    say(_other_length(stated, given, ends_epoch=window.ends_epoch), is_warning=True)
                stated = None
            yield window
        if state.examples_in_epoch == 0:
            raise ValueError("train_dataset is empty: it has yielded no example in a whole epoch")
        state.epoch += 1
        state.examples_in_epoch = 0
        state.stream = None


def _other_length(stated: int, given: int, *, ends_epoch: bool) -> str:
    """Returns a warning about a stream with a wrong stated length, by which the steps were counted."""
    number = f"{given}" if ends_epoch else f"more than {given}"
    return (
        f"warning: train_dataset says that it has {stated} examples (__len__), and gave {number} in its first epoch: "
        "the number of steps and the learning rate go by what it says; max_steps sets them without it"
    )


def goes_on_from_state(dataset: ExampleDataset, state: TrainerState) -> bool:
    """Returns True if the rest of an epoch is found by the data set's saved state, and not by counting examples."""
    return state.stream is not None and keeps_whole_state(dataset)


def rows_of(dataset: ExampleDataset, args: TrainingArguments, origin: StepOrigin) -> list[int] | None:
    """Returns the row numbers of a step's examples, or None for a data set without row numbers."""
    if is_stream(dataset):
        return None
    order = _order(len(dataset), args, origin.epoch)
    return [int(row) for row in order[origin.first_example : origin.first_example + origin.num_examples]]


def eval_windows(
    dataset: ExampleDataset, collate: Collator, args: TrainingArguments, strategy: Strategy
) -> Iterator[Window]:
    """Yields one pass in order, one batch per window, at most `max_eval_steps`."""
    share = Share(args.per_device_eval_batch_size, rank=strategy.data_rank, world_size=strategy.data_world_size)
    draws = Draws(args.seed, rank=share.rank)
    windows: MapWindows | StreamWindows
    if is_stream(dataset):
        windows = StreamWindows(dataset, collate, share, draws=draws)
    else:
        windows = MapWindows(dataset, torch.arange(len(dataset)), collate, share, draws=draws)
    return islice(_loaded(windows, args, strategy), args.max_eval_steps if args.max_eval_steps > 0 else None)


def _epoch(
    dataset: ExampleDataset, collate: Collator, args: TrainingArguments, strategy: Strategy, state: TrainerState
) -> MapWindows | StreamWindows:
    """Returns the rest of the current epoch."""
    share, start, behind = train_share(args, strategy), state.examples_in_epoch, 0
    draws = Draws(args.seed, state.epoch, share.rank)
    if is_stream(dataset):
        if hasattr(dataset, "set_epoch"):
            dataset.set_epoch(state.epoch)
        if goes_on_from_state(dataset, state):
            dataset.load_state_dict(state.stream)
            start, behind = 0, start
        return StreamWindows(dataset, collate, share, start=start, behind=behind, draws=draws)
    return MapWindows(dataset, _order(len(dataset), args, state.epoch), collate, share, start=start, draws=draws)


def _order(length: int, args: TrainingArguments, epoch: int) -> torch.Tensor:
    return shuffled_order(length, seed=args.seed, epoch=epoch) if args.shuffle else torch.arange(length)


def _loaded(windows: MapWindows | StreamWindows, args: TrainingArguments, strategy: Strategy) -> Iterator[Window]:
    loader = window_loader(
        windows,
        num_workers=args.dataloader_num_workers,
        pin_memory=args.dataloader_pin_memory and strategy.world.device.type == "cuda",
        prefetch_factor=args.dataloader_prefetch_factor,
    )
    return iter(loader)
