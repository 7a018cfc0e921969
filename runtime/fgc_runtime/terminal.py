"""Text that others wrote, to text that a terminal shows and does not obey.

Answers of models, names of jobs and messages of servers can hold escape sequences, which move the cursor, change the
title, hide text or write to the clipboard, and characters that show text in another order than it is read.
"""

import re
from typing import Any, TextIO

_OVERRIDES = "\u202a-\u202e\u2066-\u2069"  # the marks of Hebrew and Arabic texts stay
_OTHERS = "\u2028\u2029\ufeff\ud800-\udfff\U000e0000-\U000e007f"  # line ends, half characters, invisible tags
_OBEYED = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_OVERRIDES}{_OTHERS}]")

RESET, BOLD, GREY, PLAIN, CYAN = "\x1b[0m", "\x1b[1m", "\x1b[90m", "\x1b[39m", "\x1b[36m"
# The colors that commands paint with. Others of a text, such as hidden or reversed, are seen and not obeyed.
_BAR = re.compile(r"(?:[\r\n]|\x1b\[A)*+")  # how a bar that changes goes to the line on which it stands
_PAINTED = re.compile(f"({'|'.join(map(re.escape, (RESET, BOLD, GREY, PLAIN, CYAN)))})")


def visible(text: str) -> str:
    """Returns the text with what a terminal would obey written as escapes; line ends and tabs stay."""
    return text if text.isascii() and text.isprintable() else _OBEYED.sub(_escape, text)


def visible_line(text: str) -> str:
    """Returns the text as one line: its line ends and tabs are escapes too."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def obeying_nothing(stream: TextIO, *, has_bars: bool = False) -> Any:
    """Returns a stream that shows a terminal what `visible` leaves, and colors of commands; files and pipes get all.

    With `has_bars`, what is written may begin and end on the line of a bar, which it draws anew.
    """
    return _Shown(stream, has_bars) if stream.isatty() else stream


class _Shown:
    """A text stream; all but writing is the other stream's."""

    def __init__(self, stream: TextIO, has_bars: bool) -> None:
        self._stream = stream
        self._has_bars = has_bars

    def write(self, text: str) -> int:
        start, end = 0, len(text)
        if self._has_bars:
            found = _BAR.match(text)
            start = 0 if found is None else found.end()
            end = max(start, len(text.rstrip("\r")))
        parts = enumerate(_PAINTED.split(text[start:end]))
        shown = "".join(part if number % 2 else visible(part) for number, part in parts)
        self._stream.write(f"{text[:start]}{shown}{text[end:]}")
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
