"""A program and a number of processes to a report: construct, check, step on each process unlike the others."""

import contextlib
import math
import sys
from pathlib import Path

from transformers import PreTrainedModel

from fgc_runtime.data.windows import Window, length_of
from fgc_runtime.rehearsal.checks import problems_of
from fgc_runtime.rehearsal.program import Cast, cast_of
from fgc_runtime.rehearsal.report import Report
from fgc_runtime.rehearsal.step import rehearse


def rehearsed(program: Path, *, world_size: int) -> Report:
    """Never raises for what is wrong with the program: it is in the report."""
    report = Report(world_size=world_size)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what the program prints is not the report
            cast = cast_of(program)
            _step_on_each(cast, report)
    except Exception as error:
        if not report.problems:
            report.problems.append(_in_one_line(error))
    return report


def _step_on_each(cast: Cast, report: Report) -> None:
    report.strategy = type(cast.strategy).__name__
    if cast.train_dataset is None:
        raise ValueError("train_dataset (None) must be given to train")

    def check(window: Window, model: PreTrainedModel) -> None:
        report.problems += problems_of(window, model, cast.processing_class)
        if report.problems:
            raise ValueError(report.problems[0])

    ranks = [0]
    while ranks:
        rank = ranks.pop(0)
        found = rehearse(cast, rank=rank, world_size=report.world_size, check=check)
        report.ranks.append(found.rank)
        if rank == 0:
            ranks = found.distinct_ranks[1:]
            report.model = type(found.model).__name__
            report.num_parameters = found.num_parameters
            report.batch_shape = list(found.window.micro_batches[0]["input_ids"].shape)
            report.label_tokens = found.window.num_label_tokens
            report.max_steps = _max_steps(cast)


def _max_steps(cast: Cast) -> int | None:
    if cast.args.max_steps > 0:
        return cast.args.max_steps
    length = length_of(cast.train_dataset)
    if length is None:
        raise ValueError("max_steps (-1) must be above 0: train_dataset has no length to count epochs by")
    per_step = cast.args.per_device_train_batch_size * cast.args.gradient_accumulation_steps
    return math.ceil(cast.args.num_train_epochs * math.ceil(length / (per_step * cast.strategy.data_world_size)))


def _in_one_line(error: Exception) -> str:
    """The message and, where the program knows it, the place in the configuration."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, (ValueError, OSError)) else f"{type(error).__name__}: {text}"
