"""Offers what can be done about findings: exact replacements, comments that silence, pages that explain."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from fgc.diagnostics import Diagnostic, Edit
from fgc.ide.editor import is_same_file
from fgc.text import Span


class Action(Struct, frozen=True):
    """Something to do: a title and the edits of one file. `finding` is what it answers; an exact fix `is_preferred`.

    `explains` is the code of the page to show instead.
    """

    title: str
    edits: tuple[Edit, ...]
    finding: Diagnostic | None = None
    is_preferred: bool = False
    explains: str | None = None


def actions(
    findings: Sequence[Diagnostic], path: str, start: int, end: int, *, fixes_one: bool = False
) -> list[Action]:
    """Returns what can be done about the findings of a file that touch a range.

    The action that fixes all is offered for several fixes; with `fixes_one`, as on saving, also for one.
    """
    found: list[Action] = []
    for finding in findings:
        if finding.span.start > end or finding.span.end < start or not is_same_file(finding.span.source, path):
            continue
        fix = finding.fix
        if fix is not None and is_same_file(fix.span.source, path):
            title = (finding.help or "Replace").partition("\n")[0]
            found.append(Action(f"Fix: {title}", (fix,), finding, is_preferred=True))
        found.append(Action(f"Silence {finding.code} here", (silence(finding),), finding))
        found.append(Action(f"Explain {finding.code}", (), finding, explains=finding.code))
    every = fix_all(findings, path)
    if len(every) > (0 if fixes_one else 1):
        found.append(Action(f"Fix all of this file that has an exact fix ({len(every)})", tuple(every)))
    return found


def fix_all(findings: Iterable[Diagnostic], path: str) -> list[Edit]:
    """Returns the exact replacements in a file; of two that overlap, the first."""
    fixes = [f.fix for f in findings if f.fix is not None and is_same_file(f.fix.span.source, path)]
    kept: list[Edit] = []
    for edit in sorted(fixes, key=lambda edit: (edit.span.start, edit.span.end)):
        if not kept or edit.span.start >= kept[-1].span.end:
            kept.append(edit)
    return kept


def silence(finding: Diagnostic) -> Edit:
    """Returns the comment that silences a finding, on a line of its own above it."""
    source = finding.span.source
    number = finding.span.first.line
    line = source.line(number)
    indent = line[: len(line) - len(line.lstrip())]
    place = source.line_starts[number - 1]
    return Edit(Span(source, place, place), f"{indent}## fgc: ignore[{finding.code}]\n")
