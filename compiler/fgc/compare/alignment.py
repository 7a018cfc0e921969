"""Aligns two lists: equal items are paired, and changed items with their old version."""

from collections.abc import Sequence
from difflib import SequenceMatcher

from fgc.compare.digests import Digests, own_value
from fgc.ir import Row

_MAX_CELLS = 250_000  # of the table that pairs changed items; longer ranges are paired by position


def aligned(
    one: Sequence[int],
    other: Sequence[int],
    rows: tuple[Sequence[Row], Sequence[Row]],
    digests: tuple[Digests, Digests],
) -> list[tuple[int | None, int | None]]:
    """Returns pairs of positions in two lists, in order; None for an item without a counterpart.

    Equal items are paired first; between them, the most similar ones.
    """
    matcher = SequenceMatcher(None, [digests[0][n] for n in one], [digests[1][n] for n in other], autojunk=False)
    pairs: list[tuple[int | None, int | None]] = []
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            pairs += zip(range(i1, i2), range(j1, j2), strict=True)
        else:
            pairs += _paired(range(i1, i2), range(j1, j2), one, other, rows, digests)
    return pairs


def _paired(
    left: range,
    right: range,
    one: Sequence[int],
    other: Sequence[int],
    rows: tuple[Sequence[Row], Sequence[Row]],
    digests: tuple[Digests, Digests],
) -> list[tuple[int | None, int | None]]:
    if len(left) * len(right) > _MAX_CELLS:
        return _by_position(left, right)
    best = [[0.0] * (len(right) + 1) for _ in range(len(left) + 1)]
    score = [[likeness(rows[0][one[i]], rows[1][other[j]], digests) for j in right] for i in left]
    for i in range(len(left) - 1, -1, -1):
        for j in range(len(right) - 1, -1, -1):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + score[i][j])
    pairs: list[tuple[int | None, int | None]] = []
    i = j = 0
    while i < len(left) and j < len(right):
        if score[i][j] > 0 and best[i][j] == best[i + 1][j + 1] + score[i][j]:
            pairs.append((left[i], right[j]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            pairs.append((left[i], None))
            i += 1
        else:
            pairs.append((None, right[j]))
            j += 1
    return [*pairs, *((k, None) for k in left[i:]), *((None, k) for k in right[j:])]


def _by_position(left: range, right: range) -> list[tuple[int | None, int | None]]:
    shared = min(len(left), len(right))
    pairs: list[tuple[int | None, int | None]] = [*zip(left[:shared], right[:shared], strict=True)]
    return [*pairs, *((k, None) for k in left[shared:]), *((None, k) for k in right[shared:])]


def likeness(one: Row, other: Row, digests: tuple[Digests, Digests]) -> float:
    """Returns the similarity of two rows, from 0 to 1 for equal ones."""
    if one.kind != other.kind:
        return 0.0
    if not one.parts and not other.parts and one.kind != "call":
        return 1.0 if own_value(one) == own_value(other) else 0.3
    is_named_alike = own_value(one) == own_value(other)
    if one.kind == "call" and not is_named_alike:
        return 0.1 * _shared_parts(one, other, digests)
    return 0.4 + 0.6 * _shared_parts(one, other, digests)


def _shared_parts(one: Row, other: Row, digests: tuple[Digests, Digests]) -> float:
    total = max(len(one.parts), len(other.parts))
    if total == 0:
        return 1.0
    theirs = {part.label: digests[1][part.node] for part in other.parts}
    return sum(theirs.get(part.label) == digests[0][part.node] for part in one.parts) / total
