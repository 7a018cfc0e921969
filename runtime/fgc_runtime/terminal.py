"""Text that others wrote, to text that a terminal shows and does not obey.

Answers of models, names of jobs and messages of servers can hold escape sequences, which move the cursor, change the
title, hide text or write to the clipboard, and characters that show text in another order than it is read.
"""

import re

_OVERRIDES = "\u202a-\u202e\u2066-\u2069"  # the marks of Hebrew and Arabic texts stay
_OTHERS = "\u2028\u2029\ufeff\ud800-\udfff\U000e0000-\U000e007f"  # line ends, half characters, invisible tags
_OBEYED = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_OVERRIDES}{_OTHERS}]")


def visible(text: str) -> str:
    """Returns the text with what a terminal would obey written as escapes; line ends and tabs stay."""
    return text if text.isascii() and text.isprintable() else _OBEYED.sub(_escape, text)


def visible_line(text: str) -> str:
    """Returns the text as one line: its line ends and tabs are escapes too."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
