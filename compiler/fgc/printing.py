"""Text that others wrote, to text that a terminal shows and does not obey.

Names of files, template lines, messages and records can hold escape sequences (which move the cursor, change the title,
hide text) and controls of writing direction (which show text in another order than it is read).
"""

import os
import re
from typing import Any, TextIO

from fgc.patterns import regex

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_OTHERS = "\u2028\u2029\ufeff\ud800-\udfff\U000e0000-\U000e007f"  # line ends, half characters, invisible tags
_OBEYED = regex(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_BIDI}{_OTHERS}]")
_PAINTED = regex(r"(\x1b\[[0-9;]{0,7}m)")


def visible(text: str) -> str:
    """Returns the text with what a terminal would obey written as escapes; line ends and tabs stay."""
    return text if text.isascii() and text.isprintable() else _OBEYED.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    """The escape of Python and, where JSON is printed, of JSON: its writers have escaped what lies below a blank."""
    code = ord(found[0])
    if code < 0x20:
        return f"\\x{code:02x}"
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def use_color(stream: Any) -> bool:
    """Returns True if a stream takes colours: a terminal does, or every one with FORCE_COLOR; none with NO_COLOR.

    FORCE_COLOR=0 is none either, as Node's tools have it.
    """
    forced = os.environ.get("FORCE_COLOR", "")
    is_off = bool(os.environ.get("NO_COLOR")) or forced.lower() in ("0", "false")
    return not is_off and bool(forced or stream.isatty())


def only_visible(stream: TextIO) -> Any:
    """Returns a stream that writes to another what `visible` leaves, and colours if the other takes them."""
    return _Visible(stream)


class _Visible:
    """A text stream; all but `write` is the other stream's."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._has_color = use_color(stream)

    def write(self, text: str) -> int:
        parts = _PAINTED.split(text) if self._has_color else [text]
        self._stream.write("".join(part if number % 2 else visible(part) for number, part in enumerate(parts)))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
