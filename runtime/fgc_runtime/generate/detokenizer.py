"""Token ids in, text out, piece by piece; never half a character.

The pieces joined are what the tokenizer makes of all ids at once. A piece is known once it no longer ends in
U+FFFD, which is how decoders write bytes that do not make a character yet.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_MAX_OPEN_BYTES = 3  # a UTF-8 character has at most four bytes; a decoder may write one U+FFFD for each open one
_LONG_WINDOW = 16  # tokens; only a run of bytes that are no text grows so long


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Holds what a tokenizer says about ids: how they decode (special ones left out) and the text of special ones."""

    decode: Callable[[Sequence[int]], str]
    special: dict[int, str]


class Detokenizer:
    """Decodes a window of recent tokens: the last ones shown give the context (spaces) for the next.

    `context` are tokens before the text; it is left out if it ends within a character, which is not ours to show.
    """

    def __init__(self, vocabulary: Vocabulary, context: Sequence[int] = ()) -> None:
        self._vocabulary = vocabulary
        is_whole = not vocabulary.decode(context).endswith(_REPLACEMENT)
        self._window = list(context) if is_whole else []
        self._num_context = len(self._window)
        self._num_shown = len(self._decode())

    def push(self, token: int) -> str:
        """Take a token; the text that is certain now."""
        self._window.append(token)
        text = self._decode()
        settled = self._settled(text)
        shown = text[self._num_shown : settled]
        self._num_shown = max(self._num_shown, settled)
        if settled == len(text):
            self._keep_from(self._num_context)
        elif len(self._window) > _LONG_WINDOW:
            self._shorten(text)
        return shown

    def flush(self) -> str:
        """The rest, when no more tokens come: an open character is shown as U+FFFD."""
        text = self._decode()
        shown = text[self._num_shown :]
        self._num_shown = len(text)
        self._keep_from(self._num_context)
        return shown

    def _decode(self) -> str:
        return self._vocabulary.decode(self._window)

    @staticmethod
    def _settled(text: str) -> int:
        """Length of the text without an open character at its end."""
        return max(len(text.rstrip(_REPLACEMENT)), len(text) - _MAX_OPEN_BYTES)

    def _keep_from(self, start: int) -> None:
        """Forget the tokens before `start`; what remains is all shown and gives the context."""
        self._window = self._window[start:] or self._window
        self._num_context = len(self._window)
        self._num_shown = self._settled(self._decode())

    def _shorten(self, text: str) -> None:
        """Cut the window where its halves decode to the same text."""
        for cut in range(len(self._window) - _MAX_OPEN_BYTES - 1, 0, -1):
            head, tail = (self._vocabulary.decode(part) for part in (self._window[:cut], self._window[cut:]))
            if head + tail == text and len(head) <= self._num_shown:
                self._window = self._window[cut:]
                self._num_context = 0
                self._num_shown -= len(head)
                return
