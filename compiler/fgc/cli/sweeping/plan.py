"""Describes a sweep: written into its study when it begins, read back when it goes on, compared when another joins."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from fgc.cli.arguments import CannotRun
from fgc.cli.sweeping.space import Dimension

_FORMAT = 1
_LOWER_IS_BETTER = ("loss", "perplexity", "error", "bpb", "bits_per_byte", "wer")


class SweepPlan(Struct, frozen=True):
    """Everything that decides which trials there are and what they are worth.

    `inputs`: the digests of the files that the configuration was read from. `arguments`: what the command line said of
    the configuration: its file or name, variables, settings, words of its own options.
    """

    name: str
    configuration: str
    folder: str
    dimensions: tuple[Dimension, ...]
    metric: str
    is_maximized: bool
    sampler: str
    pruner: str
    is_grid: bool
    seed: int | None
    judge_by: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    format: int = _FORMAT

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Returns the engine's word."""
        return "maximize" if self.is_maximized else "minimize"

    @property
    def sign(self) -> int:
        """Returns 1 where more is better, -1 where less is."""
        return 1 if self.is_maximized else -1


def plan_text(plan: SweepPlan) -> str:
    """Returns the plan as the study keeps it."""
    return msgspec.json.encode(plan).decode()


def read_plan(text: str) -> SweepPlan:
    """Reads a plan back. Raises CannotRun for one of another version."""
    try:
        found = msgspec.json.decode(text, type=SweepPlan)
    except msgspec.MsgspecError as problem:
        raise CannotRun(f"the study's plan cannot be read by this version of fgc: {problem}") from None
    if found.format != _FORMAT:
        raise CannotRun("the study was made by another version of fgc")
    return found


def differences(before: SweepPlan, now: SweepPlan) -> Iterator[str]:
    """Yields what two plans do not have in common, in words; changed files are not among them."""
    labels = {
        "configuration": "the configuration",
        "metric": "the metric",
        "direction": "the direction",
        "judge_by": "what a trial is judged by",
        "sampler": "the sampler",
        "pruner": "the pruner",
        "is_grid": "whether it is a grid",
    }
    for name, label in labels.items():
        was, is_now = getattr(before, name), getattr(now, name)
        if was != is_now:
            yield f"{label} was {was} and is {is_now}"
    if before.arguments != now.arguments:
        yield f"the arguments were {json.dumps(before.arguments)} and are {json.dumps(now.arguments)}"
    old, new = ({each.name: each for each in plan.dimensions} for plan in (before, now))
    for name in dict.fromkeys((*old, *new)):
        if name not in new:
            yield f"`{name}` was swept and is not"
        elif name not in old:
            yield f"`{name}` is swept and was not"
        elif old[name] != new[name]:
            yield f"the range of `{name}` is another one"


def lower_is_better(metric: str) -> bool | None:
    """Returns True for losses and the like; None for a metric of which nothing is known."""
    return True if any(word in metric.lower() for word in _LOWER_IS_BETTER) else None
