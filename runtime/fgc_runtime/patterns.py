"""Patterns of parameter names: regular expressions, searched for in names, and what to say of one that fits nothing."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

_NUM_NAMED = 5


def compiled(argument: str, pattern: str) -> re.Pattern[str]:
    """Returns the expression. Raises ValueError, naming the argument, for a text that is none."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{argument}: {pattern!r} is no regular expression: {error}") from error


def no_match(argument: str, pattern: str, names: Iterable[str]) -> ValueError:
    """Returns the error for a pattern of an argument that none of the names matches."""
    return ValueError(f"{argument}: no parameter matches {pattern!r}; {nearest(pattern, names)}")


def nearest(wanted: str, names: Iterable[str]) -> str:
    """Returns what to say of a name that is none: the parts of real names that come close, or some of the names."""
    whole = list(dict.fromkeys(names))
    parts = list(dict.fromkeys(part for name in whole for part in name.split(".") if not part.isdigit()))
    for word in reversed(re.findall(r"\w{3,}", wanted.replace("\\", " "))):
        close = [] if word in parts else get_close_matches(word, parts, n=3, cutoff=0.6)
        if close:
            return f"did you mean {' or '.join(close)}?"
    return f"there are {listed(whole)}"


def listed(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    whole = list(names)
    more = f" and {len(whole) - _NUM_NAMED} more" if len(whole) > _NUM_NAMED else ""
    return (", ".join(whole[:_NUM_NAMED]) or "nothing") + more
