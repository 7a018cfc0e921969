"""Text pieces in, text pieces out that hold no part of a stop sequence.

The result does not depend on how the text was cut into pieces: what ends first stops, and of two that end together
the longer one counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the text; special tokens are matched against stops but never shown."""

    text: str
    is_shown: bool = True


class StopFilter:
    """Holds back the tail that may be the beginning of a stop sequence."""

    def __init__(self, stops: Sequence[str]) -> None:
        if any(not stop for stop in stops):
            raise ValueError("a stop sequence must not be empty")
        self._stops = tuple(stops)
        self._held: list[Piece] = []
        self.is_stopped = False

    def push(self, text: str, *, is_shown: bool = True) -> str:
        """Take a piece; what can be shown now, in order. After a stop nothing comes out."""
        if self.is_stopped or not text:
            return ""
        if not self._stops:
            return text if is_shown else ""
        self._held.append(Piece(text, is_shown))
        whole = "".join(piece.text for piece in self._held)
        if (cut := self._first_stop(whole)) is not None:
            self.is_stopped = True
            shown, self._held = self._release(cut), []
            return shown
        return self._release(len(whole) - self._num_held(whole))

    def flush(self) -> str:
        """What is still held, when no more text comes."""
        return self._release(sum(len(piece.text) for piece in self._held))

    def _first_stop(self, whole: str) -> int | None:
        """Where the stop sequence begins that ends first, the longest of those."""
        found = [(at + len(stop), at) for stop in self._stops if (at := whole.find(stop)) >= 0]
        return min(found)[1] if found else None

    def _num_held(self, whole: str) -> int:
        """Length of the longest tail that begins a stop sequence."""
        longest = min(len(whole), max(map(len, self._stops)) - 1)
        tails = (n for n in range(longest, 0, -1) if any(stop.startswith(whole[-n:]) for stop in self._stops))
        return next(tails, 0)

    def _release(self, num_chars: int) -> str:
        shown = []
        while self._held and num_chars >= len(self._held[0].text):
            piece = self._held.pop(0)
            num_chars -= len(piece.text)
            shown.append(piece.text if piece.is_shown else "")
        if num_chars:
            piece = self._held[0]
            self._held[0] = Piece(piece.text[num_chars:], piece.is_shown)
            shown.append(piece.text[:num_chars] if piece.is_shown else "")
        return "".join(shown)
