"""Finds the differences of two snapshots by walking both from their targets.

Every pair of nodes is compared once, on the shortest path that leads to it: a value that many objects share is one
difference.
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from enum import Enum

from msgspec import Struct

from fgc.compare.alignment import aligned
from fgc.compare.digests import Digests, own_value
from fgc.compare.summary import summary
from fgc.ir import FilePlace, Part, Row, Snapshot

_ONE_OBJECT = ("list", "mapping", "variable")  # and singletons


class Change(Enum):
    """The kinds of difference at a path."""

    CHANGED = "changed"
    CALLEE = "callee"
    HOW = "kind"
    ADDED = "added"
    REMOVED = "removed"
    MOVED = "moved"
    SHARED = "shared"
    SEPARATE = "separate"


class Side(Struct, frozen=True):
    """One side of a difference: a text of the value and the place where it is written."""

    text: str
    place: FilePlace
    path: str


class Difference(Struct, frozen=True):
    """A difference; `old` is None for an added value, `new` for a removed one.

    For a moved value, `old` has the former path. For objects that are SHARED now and were not, or SEPARATE now and were
    shared, `old` and `new` are the two paths. `num_more` is the number of other places that mention the value.
    """

    change: Change
    path: str
    old: Side | None
    new: Side | None
    num_more: int = 0


def compare(old: Snapshot, new: Snapshot) -> list[Difference]:
    """Returns all differences, in the order of the paths."""
    walk = _Walk(old, new)
    walk.run()
    order = {name: number for number, name in enumerate({**new.targets, **old.targets})}
    found = [*_with_moves(walk), *walk.found]
    return sorted(found, key=lambda item: (order[_target(item.path, order)], _natural(item.path)))


def _target(path: str, targets: Mapping[str, int]) -> str:
    return max((name for name in targets if path.startswith(name)), key=len)


def _natural(path: str) -> list[tuple[int, int, str]]:
    """Returns a key that sorts numbers in paths by value."""
    parts = path.replace("]", "[").split("[")
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


class _Lone(Struct, frozen=True):
    """A node that only one of the two has."""

    path: str
    part: Part


class _Walk:
    def __init__(self, old: Snapshot, new: Snapshot) -> None:
        self.old, self.new = old, new
        self.digests = (Digests(old), Digests(new))
        self.found: list[Difference] = []
        self.removed: list[_Lone] = []
        self.added: list[_Lone] = []
        self._mentions = (_mentions(old), _mentions(new))
        self._partner: tuple[dict[int, tuple[int, str]], dict[int, tuple[int, str]]] = ({}, {})
        self._waiting: deque[tuple[Part, Part, str, str, bool]] = deque()

    def run(self) -> None:
        for name, part in self.old.targets.items():
            if name in self.new.targets:
                self._waiting.append((part, self.new.targets[name], name, name, True))
            else:
                self.removed.append(_Lone(name, part))
        self.added += [_Lone(name, part) for name, part in self.new.targets.items() if name not in self.old.targets]
        seen: set[tuple[int, int]] = set()
        while self._waiting:
            one, other, old_path, path, counts_sharing = self._waiting.popleft()
            if (one.node, other.node) not in seen:
                seen.add((one.node, other.node))
                self._pair(one, other, old_path, path, counts_sharing)

    def _pair(self, one: Part, other: Part, old_path: str, path: str, counts_sharing: bool) -> None:
        left, right = self.old.rows[one.node], self.new.rows[other.node]
        if counts_sharing:
            counts_sharing = not self._sharing(one.node, other.node, old_path, path)
        if left.kind != right.kind or (not left.parts and not right.parts and left.kind != "call"):
            if (left.kind, own_value(left)) != (right.kind, own_value(right)):
                self._note(Change.CHANGED, one, other, old_path, path)
            return
        if own_value(left) != own_value(right):
            self._note(Change.CALLEE, one, other, old_path, path)
        elif left.how != right.how:
            self._note(Change.HOW, one, other, old_path, path)
        self._parts(left, right, old_path, path, counts_sharing)

    def _parts(self, left: Row, right: Row, old_path: str, path: str, counts_sharing: bool) -> None:
        if left.kind == "list":
            self._items(left, right, old_path, path, counts_sharing)
            return
        mine = {part.label: part for part in left.parts}
        theirs = {part.label: part for part in right.parts}
        for label, part in mine.items():
            if label in theirs:
                self._waiting.append((part, theirs[label], old_path + label, path + label, counts_sharing))
            else:
                self.removed.append(_Lone(old_path + label, part))
        self.added += [_Lone(path + label, part) for label, part in theirs.items() if label not in mine]

    def _items(self, left: Row, right: Row, old_path: str, path: str, counts_sharing: bool) -> None:
        numbers = [part.node for part in left.parts], [part.node for part in right.parts]
        for i, j in aligned(*numbers, (self.old.rows, self.new.rows), self.digests):
            if i is not None and j is not None:
                labels = old_path + f"[{i}]", path + f"[{j}]"
                self._waiting.append((left.parts[i], right.parts[j], *labels, counts_sharing))
            elif i is not None:
                self.removed.append(_Lone(old_path + f"[{i}]", left.parts[i]))
            elif j is not None:
                self.added.append(_Lone(path + f"[{j}]", right.parts[j]))

    def _sharing(self, one: int, other: int, old_path: str, path: str) -> bool:
        """Returns True, and notes it once, if one object is two objects in the other configuration."""
        rows = self.old.rows[one], self.new.rows[other]
        if not all(_is_one_object(row) for row in rows):
            return False
        is_different = False
        for change, side, number, partner in (
            (Change.SEPARATE, 0, one, other),
            (Change.SHARED, 1, other, one),
        ):
            known, first_path = self._partner[side].setdefault(number, (partner, (old_path, path)[side]))
            if known != partner:
                here = (old_path, path)[side]
                row = rows[side]
                sides = [Side(summary(row, (self.old, self.new)[side]), row.place, p) for p in (first_path, here)]
                self.found.append(Difference(change, path, sides[0], sides[1]))
                is_different = True
        return is_different

    def _note(self, change: Change, one: Part, other: Part, old_path: str, path: str) -> None:
        more = max(self._mentions[0][one.node], self._mentions[1][other.node]) - 1
        is_short = change in (Change.CALLEE, Change.HOW)
        old, new = self.side(0, one, old_path, is_short), self.side(1, other, path, is_short)
        self.found.append(Difference(change, path, old, new, more))

    def side(self, index: int, part: Part, path: str, is_short: bool = False) -> Side:
        """Returns the value at a path in the old (0) or the new (1) configuration."""
        snapshot = (self.old, self.new)[index]
        row = snapshot.rows[part.node]
        return Side(summary(row, snapshot, is_short=is_short), row.place, path)


def _mentions(snapshot: Snapshot) -> Counter[int]:
    counts = Counter(part.node for row in snapshot.rows for part in row.parts)
    counts.update(part.node for part in snapshot.targets.values())
    return counts


def _is_one_object(row: Row) -> bool:
    return row.kind in _ONE_OBJECT or (row.kind == "call" and row.how == "singleton")


def _with_moves(walk: _Walk) -> Iterator[Difference]:
    """Yields removals and additions; equal values in both are one move."""
    waiting: dict[bytes, list[_Lone]] = {}
    for lone in walk.added:
        waiting.setdefault(walk.digests[1][lone.part.node], []).append(lone)
    moved: set[int] = set()
    for lone in walk.removed:
        same = waiting.get(walk.digests[0][lone.part.node], [])
        row = walk.old.rows[lone.part.node]
        old = walk.side(0, lone.part, lone.path)
        if same and (row.parts or row.kind == "call"):
            other = same.pop(0)
            moved.add(id(other))
            yield Difference(Change.MOVED, other.path, old, walk.side(1, other.part, other.path))
        else:
            yield Difference(Change.REMOVED, lone.path, old, None)
    for lone in walk.added:
        if id(lone) not in moved:
            yield Difference(Change.ADDED, lone.path, None, walk.side(1, lone.part, lone.path))
