"""Bin packing with equal capacities: offline with all lengths known, or online with few open bins."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Generic, Literal, TypeVar, get_args

P = TypeVar("P")

Strategy = Literal["greedy", "first_fit", "best_fit"]


def check_strategy(strategy: str) -> None:
    """Raises ValueError for one that does not exist."""
    if strategy not in get_args(Strategy):
        raise ValueError(f"strategy ({strategy!r}) must be one of {', '.join(get_args(Strategy))}")


def first_fit_decreasing(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Returns bins of item numbers: longest first, each into the first bin with room (Johnson 1973); O(n log n)."""
    size = 1
    while size < len(lengths):
        size *= 2
    room = [capacity] * (2 * size)  # a tree: each node has the largest room below it, the leaves are bins
    bins: list[list[int]] = []
    for item in _longest_first(lengths):
        node = 1
        while node < size:
            node = 2 * node if room[2 * node] >= lengths[item] else 2 * node + 1
        if node - size == len(bins):
            bins.append([])
        bins[node - size].append(item)
        room[node] -= lengths[item]
        while node > 1:
            node //= 2
            room[node] = max(room[2 * node], room[2 * node + 1])
    return bins


def best_fit_decreasing(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Returns bins of item numbers: longest first, each into the fullest bin with room; O(n log(capacity))."""
    by_room: dict[int, list[int]] = {}
    rooms: list[int] = []  # the distinct rooms of bins, sorted
    bins: list[list[int]] = []
    for item in _longest_first(lengths):
        place = bisect_left(rooms, lengths[item])
        if place < len(rooms):
            room = rooms[place]
            chosen = by_room[room].pop()
            if not by_room[room]:
                del by_room[room], rooms[place]
        else:
            room, chosen = capacity, len(bins)
            bins.append([])
        bins[chosen].append(item)
        left = room - lengths[item]
        if left not in by_room:
            by_room[left] = []
            insort(rooms, left)
        by_room[left].append(chosen)
    return bins


def _longest_first(lengths: Sequence[int]) -> list[int]:
    return sorted(range(len(lengths)), key=lambda item: (-lengths[item], item))


class OpenBins(Generic[P]):
    """At most `most_open` bins that are filled one item at a time; the strategy chooses the bin of an item.

    An item that fits nowhere opens a bin. If there are then too many, the fullest is closed.
    """

    def __init__(self, capacity: int, *, strategy: Strategy, most_open: int) -> None:
        self.capacity = capacity
        self.strategy = strategy
        self.most_open = most_open
        self.bins: list[list[P]] = []
        self.rooms: list[int] = []

    def add(self, item: P, length: int) -> list[P] | None:
        """Puts an item into a bin. Returns a bin that was closed by that, because it is full or there are too many."""
        chosen = self._choose(length)
        if chosen is None:
            self.bins.append([])
            self.rooms.append(self.capacity)
            chosen = len(self.bins) - 1
        self.bins[chosen].append(item)
        self.rooms[chosen] -= length
        if self.rooms[chosen] == 0:
            return self._close(chosen)
        if len(self.bins) > self.most_open:
            return self._close(min(range(len(self.rooms)), key=self.rooms.__getitem__))
        return None

    def close_all(self) -> list[list[P]]:
        """Closes all bins and returns them, the oldest first."""
        closed = self.bins
        self.bins, self.rooms = [], []
        return closed

    def _choose(self, length: int) -> int | None:
        fitting = [number for number, room in enumerate(self.rooms) if room >= length]
        if not fitting:
            return None
        return fitting[0] if self.strategy == "first_fit" else min(fitting, key=self.rooms.__getitem__)

    def _close(self, number: int) -> list[P]:
        del self.rooms[number]
        return self.bins.pop(number)
