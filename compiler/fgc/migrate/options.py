"""Options of a configuration whose only use was an argument without a counterpart: they become comments as well."""

import re
from collections.abc import Iterator

from fgc.migrate.finding import Draft, Migrated
from fgc.patterns import regex

_READ = regex(r"\{\{((?:(?!\{\{).)*?)\}\}|^\s*(?:--|<<|>>|==)(.*)$")
_WORD = regex(r"(?<![\w.'\"-])[A-Za-z_]\w*")
_ENTRY = regex(r"(?P<indent>\s+)(?P<name>\w+):\s*$")
_NAMES = regex(r"\s+names\s*:")


def without_unread_options(before: str, migrated: Migrated) -> Migrated:
    """Returns the migrated text without options that only lines read that have become comments."""
    old, lines = before.splitlines(), migrated.text.splitlines()
    if len(old) != len(lines):
        return migrated
    lost = {word for was, now in zip(old, lines, strict=True) if _is_lost(was, now) for word in _words(was)}
    lost -= {word for line in lines if not line.lstrip().startswith("#") for word in _words(line)}
    draft = Draft(migrated.text)
    for name, rows in _entries(lines):
        if name in lost:
            _comment_out(draft, name, rows)
    done = draft.done()
    left = sorted((*migrated.left, *done.left), key=lambda item: (item.line, item.column))
    return Migrated(done.text, migrated.num_edits + done.num_edits, tuple(left))


def _is_lost(was: str, now: str) -> bool:
    return now.lstrip().startswith("## ") and not was.lstrip().startswith("#")


def _words(line: str) -> set[str]:
    """Returns the words in prints and statements of a line."""
    return {word for found in _READ.finditer(line) for part in found.groups() for word in _WORD.findall(part or "")}


def _entries(lines: list[str]) -> Iterator[tuple[str, range]]:
    """Yields options by their variables, with the numbers of their lines."""
    for first, line in enumerate(lines):
        entry = _ENTRY.fullmatch(line)
        if entry is None:
            continue
        last = first + 1
        while last < len(lines) and len(lines[last]) - len(lines[last].lstrip()) > len(entry["indent"]):
            last += 1
        if any(_NAMES.match(line) for line in lines[first + 1 : last]):
            yield entry["name"], range(first, last)


def _comment_out(draft: Draft, name: str, rows: range) -> None:
    starts = [0, *(found.end() for found in re.finditer("\n", draft.text))]
    first = draft.text[starts[rows[0]] :]
    indent = len(first) - len(first.lstrip(" "))
    for row in rows:
        draft.replace(starts[row] + indent, starts[row] + indent, "## ")
    draft.leave(starts[rows[0]] + indent, f"the option of `{name}` has no counterpart: nothing reads it")
