"""Comments that silence findings: `## fgc: ignore[FGC204]`.

A comment at the end of a line applies to that line. On its own line it applies to the next line, or, at the top of the
file, to the whole file. A comment that silences nothing is a finding itself.
"""

import re
from collections.abc import Iterable

from msgspec import Struct, field

from fgc.diagnostics import Diagnostic, Edit, Severity
from fgc.patterns import regex
from fgc.text import Source, Span

_COMMENT = regex(r"(?<!#)##+[^\S\n]*fgc:[^\S\n]*ignore\[(?P<codes>[^\[\]\n]*)\]")


class Suppression(Struct, eq=False):
    """One comment: its codes, the line it applies to (None is the whole file), and the span that removes it."""

    codes: dict[str, Span]
    line: int | None
    whole: Span
    used: set[str] = field(default_factory=set)


class Suppressions:
    """The comments of all files that may have findings, read on first use of a file."""

    def __init__(self) -> None:
        self._files: dict[str, list[Suppression]] = {}

    def add(self, source: Source) -> None:
        """Read a file's comments."""
        if source.display_name not in self._files:
            self._files[source.display_name] = list(_read(source)) if "fgc:" in source.text else []

    def silences(self, diagnostic: Diagnostic) -> bool:
        """Returns True if a comment silences a finding, and marks the comment as used."""
        is_silenced = False
        for suppression in self._files.get(diagnostic.span.source.display_name, ()):
            counts = suppression.line in (None, diagnostic.span.first.line)
            if counts and diagnostic.code in suppression.codes:
                suppression.used.add(diagnostic.code)
                is_silenced = True
        return is_silenced

    def unused(self) -> Iterable[Diagnostic]:
        """A warning for every code in a comment that silenced nothing."""
        for suppressions in self._files.values():
            for suppression in suppressions:
                for code, span in suppression.codes.items():
                    if code not in suppression.used:
                        where = "in this file" if suppression.line is None else f"in line {suppression.line}"
                        message = f"this comment has no effect: there is no {code} {where}"
                        fix = Edit(suppression.whole, "") if len(suppression.codes) == 1 else None
                        yield Diagnostic("FGC701", message, span, Severity.WARNING, "remove it", fix=fix)


def _read(source: Source) -> Iterable[Suppression]:
    head = _head_end(source)
    for match in _COMMENT.finditer(source.text):
        line = source.position(match.start("codes")).line
        codes = {
            code["code"]: Span(
                source, match.start("codes") + code.start("code"), match.start("codes") + code.end("code")
            )
            for code in re.finditer(r"(?P<code>\w+)", match["codes"])
        }
        begin = source.text.rfind("\n", 0, match.start()) + 1
        written = len(source.text[begin : match.start()].rstrip())
        end = source.text.find("\n", match.end())
        end = len(source.text) if end < 0 else end
        if written:
            yield Suppression(codes, line, Span(source, begin + written, end))
        else:
            whole = Span(source, begin, min(end + 1, len(source.text)))  # it has the line to itself
            yield Suppression(codes, None if begin < head else line + 1, whole)


def _head_end(source: Source) -> int:
    """Returns the end of the comments and blank lines at the top of a file."""
    at = 0
    for line in source.text.splitlines(keepends=True):
        if line.strip() and not line.lstrip().startswith("##"):
            break
        at += len(line)
    return at
