"""Digests of the rows of a snapshot: equal digests mean equal values, regardless of sharing."""

import hashlib

from fgc.ir import Row, Snapshot


class Digests:
    """The digests of all rows, and the size of each as a tree."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._rows = snapshot.rows
        self._digests: list[bytes | None] = [None] * len(snapshot.rows)
        for number in range(len(snapshot.rows)):
            self._fill(number)

    def __getitem__(self, number: int) -> bytes:
        digest = self._digests[number]
        assert digest is not None, "every row has a digest"
        return digest

    def _fill(self, root: int) -> None:
        """Children first, without recursion: configurations may be nested a thousand levels deep."""
        stack = [root]
        while stack:
            number = stack[-1]
            waiting = [part.node for part in self._rows[number].parts if self._digests[part.node] is None]
            if self._digests[number] is not None or not waiting:
                stack.pop()
                self._digests[number] = self._digest(self._rows[number])
            else:
                stack += waiting

    def _digest(self, row: Row) -> bytes:
        found = hashlib.blake2b(repr((row.kind, row.how, own_value(row))).encode(), digest_size=16)
        for part in row.parts:
            found.update(f"\0{part.label}\0".encode())
            found.update(self[part.node])
        return found.digest()


def own_value(row: Row) -> tuple[str, str]:
    """Returns a key for a row's own value: equal if type and value are equal; nan equals nan, -0.0 differs from 0.0."""
    value = row.value
    return type(value).__name__, hex(value) if isinstance(value, int) else repr(value)
