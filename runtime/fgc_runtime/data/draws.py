"""Random numbers that data draws: decided by seed, epoch, place and process, whoever reads the data and when.

Data sets and collators draw from the global generators, as does dropout. Each window gets generators of its own: one
that is read ahead, by a worker or again behind a break holds the same examples, and dropout draws what it always draws.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy
import torch

K = TypeVar("K")

_WITHOUT_DRAWS: set[type] = {list, tuple}
_PARTS = ("read", "collate", "worker")
Part = Literal["read", "collate", "worker"]


def draws_nothing(kind: type[K]) -> type[K]:
    """Marks a class whose objects, but not those of a subclass, draw nothing when they are read or called."""
    _WITHOUT_DRAWS.add(kind)
    return kind


def is_without_draws(part: object) -> bool:
    """Returns True if a data set or a collator is known to draw nothing: its windows need no generators."""
    return type(part) in _WITHOUT_DRAWS


@dataclass(frozen=True, slots=True)
class Draws:
    """The draws of one process in one pass over a data set."""

    seed: int = 0
    epoch: int = 0
    rank: int = 0  # of those that read different data

    def seed_of(self, part: Part, position: int = 0) -> int:
        """Returns 64 bits for what is done from example `position` on."""
        entropy = [self.seed, self.epoch, self.rank, position, _PARTS.index(part)]
        return int(numpy.random.SeedSequence(entropy).generate_state(1, numpy.uint64)[0])

    @contextmanager
    def at(self, part: Part, position: int) -> Iterator[None]:
        """Let the generators of python, numpy and torch's CPU draw for this place; puts them back as they were."""
        before = random.getstate(), numpy.random.get_state(legacy=False)
        seed = self.seed_of(part, position)
        random.seed(seed)
        numpy.random.seed(seed % 2**32)
        try:
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(seed)
                yield
        finally:
            random.setstate(before[0])
            numpy.random.set_state(before[1])
