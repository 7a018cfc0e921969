"""Several sources to one stream: each item from a source that is drawn by its weight."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Literal, TypeVar, get_args

from fgc_runtime.data.stage import Stage, State, as_stage, joint_fingerprint

T = TypeVar("T")

Stopping = Literal["first_exhausted", "all_exhausted", "each_once"]


class InterleavedStream(Stage[T]):
    """Draws the source of each item with probability weight / sum of weights; seed, epoch and draw number decide.

    `stopping` says when a pass ends: with the first source that is empty (`first_exhausted`); when every source has
    been empty once, those that are empty beginning again (`all_exhausted`); or when all are, each item coming once, the
    weights of the empty ones shared out among the others (`each_once`).
    """

    def __init__(
        self,
        sources: Sequence[Iterable[T]] | Mapping[str, Iterable[T]],
        *,
        weights: Sequence[float] | Mapping[str, float] | None = None,
        seed: int = 0,
        stopping: Stopping = "first_exhausted",
    ) -> None:
        self.names = list(sources) if isinstance(sources, Mapping) else [str(n) for n in range(len(sources))]
        self.sources = [as_stage(s) for s in (sources.values() if isinstance(sources, Mapping) else sources)]
        self.weights = _in_order(self.names, weights)
        if stopping not in get_args(Stopping):
            raise ValueError(f"stopping ({stopping!r}) must be one of {', '.join(get_args(Stopping))}")
        self.stopping = stopping
        self.seed = seed
        self._draws = 0
        self._passes = [0] * len(self.sources)  # of each source, finished ones

    @property
    def fingerprint(self) -> str | None:
        """The sources', with weights and rule."""
        return joint_fingerprint(self, [self.names, self.weights, self.seed, self.stopping], self.sources)

    @property
    def file_hashes(self) -> dict[str, str]:
        """The sources', below their names."""
        named = zip(self.names, self.sources, strict=True)
        return {f"{name}/{file}": found for name, source in named for file, found in source.file_hashes.items()}

    def set_epoch(self, epoch: int) -> None:
        """For the sources too."""
        super().set_epoch(epoch)
        for source in self.sources:
            source.set_epoch(epoch)

    def begin(self) -> None:
        """All sources from their beginning."""
        self._draws = 0
        self._passes = [0] * len(self.sources)
        for source in self.sources:
            source.set_epoch(self.epoch)
            source.begin()
            source._is_resumed = True  # what an interrupted pass left must not be taken up

    def items(self) -> Iterator[T]:
        """Item after item, until the rule says stop."""
        readers = [iter(source) for source in self.sources]
        while not self._is_over():
            self._draws += 1
            chosen = self._draw()
            item = next(readers[chosen], _END)
            if item is _END:
                self._passes[chosen] += 1
                if self.stopping == "all_exhausted" and not self._is_over():
                    readers[chosen] = self._again(chosen)
                continue
            yield item

    def _again(self, chosen: int) -> Iterator[T]:
        """Another pass of a source, in another order than its last one."""
        source = self.sources[chosen]
        source.set_epoch(self.epoch + 1_000_003 * self._passes[chosen])  # a prime: no other epoch has this order
        return iter(source)

    def _is_over(self) -> bool:
        finished = [count > 0 for count in self._passes]
        return any(finished) if self.stopping == "first_exhausted" else all(finished)

    def _draw(self) -> int:
        is_left = [self.stopping != "each_once" or not count for count in self._passes]
        weights = [weight if left else 0.0 for weight, left in zip(self.weights, is_left, strict=True)]
        place = _uniform(self.seed, self.epoch, self._draws) * sum(weights)
        chosen = 0
        for number, weight in enumerate(weights):
            if weight > 0:
                chosen = number  # the last one where rounding has carried the place beyond the end
                if place < weight:
                    break
                place -= weight
        return chosen

    def own_state(self) -> State:
        """The number of draws, and all sources' states."""
        states = [source.state_dict() for source in self.sources]
        return {"draws": self._draws, "passes": list(self._passes), "sources": states}

    def take_state(self, state: Mapping[str, Any]) -> None:
        """Hand out the sources' states."""
        if len(state["sources"]) != len(self.sources):
            raise ValueError(f"the state is one of {len(state['sources'])} sources, and there are {len(self.sources)}")
        self._draws, self._passes = state["draws"], list(state["passes"])
        for source, own in zip(self.sources, state["sources"], strict=True):
            source.load_state_dict(own)


_END: Any = object()


def _in_order(names: Sequence[str], weights: Sequence[float] | Mapping[str, float] | None) -> list[float]:
    if not names:
        raise ValueError("sources must not be empty")
    if weights is None:
        return [1.0] * len(names)
    if isinstance(weights, Mapping):
        if set(weights) != set(names):
            raise ValueError(f"weights ({', '.join(weights)}) must name the sources: {', '.join(names)}")
        weights = [weights[name] for name in names]
    if len(weights) != len(names):
        raise ValueError(f"weights ({len(weights)} of them) must be as many as sources ({len(names)})")
    for name, weight in zip(names, weights, strict=True):
        if not weight > 0:
            raise ValueError(f"weights: that of {name} ({weight}) must be above 0; leave the source out instead")
    return list(weights)


def _uniform(seed: int, epoch: int, draw: int) -> float:
    """A number from 0 to below 1 that these three alone decide, on every machine."""
    digest = blake2b(f"{seed} {epoch} {draw}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
