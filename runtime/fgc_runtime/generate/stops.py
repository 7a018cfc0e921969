"""Text pieces in, text pieces out that hold no part of a stop sequence.

Stops are looked for in the text as it is shown, and in the text with its special tokens. The result does not depend on
how the text was cut into pieces: what ends first stops, and of two that end together the longer one counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the text; special tokens are matched against stops but never shown."""

    text: str
    is_shown: bool = True


@dataclass(frozen=True, slots=True)
class _View:
    """A text, and where each of its characters stands in the held one; None if they are the same."""

    text: str
    places: Sequence[int] | None

    def place(self, index: int) -> int:
        return index if self.places is None else self.places[index]


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
        views = self._views()
        if stops := [stop for view in views if (stop := self._first_stop(view)) is not None]:
            self.is_stopped = True
            shown, self._held = self._release(min(stops)[1]), []
            return shown
        num_chars = sum(len(piece.text) for piece in self._held)
        return self._release(min([num_chars, *(self._begun_stop(view) for view in views)]))

    def flush(self) -> str:
        """Returns what is still held, when no more text comes."""
        return self._release(sum(len(piece.text) for piece in self._held))

    def _views(self) -> list[_View]:
        """The held text with special tokens, and as it is shown, if they differ."""
        whole = _View("".join(piece.text for piece in self._held), None)
        if all(piece.is_shown for piece in self._held):
            return [whole]
        places: list[int] = []
        start = 0
        for piece in self._held:
            places += range(start, start + len(piece.text)) if piece.is_shown else ()
            start += len(piece.text)
        return [whole, _View("".join(piece.text for piece in self._held if piece.is_shown), places)]

    def _first_stop(self, view: _View) -> tuple[int, int] | None:
        """Returns where in the held text the stop sequence ends and begins that ends first, the longest of those."""
        found = [(at + len(stop), at) for stop in self._stops if (at := view.text.find(stop)) >= 0]
        if not found:
            return None
        end, start = min(found)
        return view.place(end - 1) + 1, view.place(start)

    def _begun_stop(self, view: _View) -> int:
        """Returns where in the held text the longest tail begins that begins a stop sequence."""
        text = view.text
        longest = min(len(text), max(map(len, self._stops)) - 1)
        tails = (n for n in range(longest, 0, -1) if any(stop.startswith(text[-n:]) for stop in self._stops))
        held = next(tails, 0)
        return view.place(len(text) - held) if held else sum(len(piece.text) for piece in self._held)

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
