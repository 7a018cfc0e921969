"""Formats findings as text for users and as JSON for tools."""

import json
from collections.abc import Iterable, Mapping, Sequence

from fgc.diagnostics.model import Diagnostic, Severity
from fgc.printing import visible
from fgc.text import Span

_MAX_LINE_WIDTH = 160  # a minified line must not flood the terminal
_RED, _YELLOW, _BLUE, _BOLD, _RESET = "\033[1;31m", "\033[1;33m", "\033[1;34m", "\033[1m", "\033[0m"


def render_text(diagnostics: Iterable[Diagnostic], *, use_color: bool = False) -> str:
    """Returns each finding with its line and carets under the wrong part."""
    return "\n".join(_finding(diagnostic, use_color) for diagnostic in diagnostics)


def summary(diagnostics: Sequence[Diagnostic]) -> str:
    """Returns text such as `2 errors, 1 warning`; empty without findings."""
    counts = [(sum(d.severity is severity for d in diagnostics), severity.value) for severity in Severity]
    return ", ".join(f"{count} {word}{'s' if count > 1 else ''}" for count, word in counts if count)


def render_json(
    findings: Iterable[tuple[Diagnostic, Sequence[str]]], *, calls: Mapping[str, object] | None = None
) -> str:
    """Returns findings with the configurations that have them, in the documented form, version 1.

    `calls` says which calls were checked.
    Lines and columns count from 1, columns in code points.
    """
    items = [
        {
            "code": diagnostic.code,
            "severity": diagnostic.severity.value,
            "message": diagnostic.message,
            **_place(diagnostic.span, with_end=True),
            "help": diagnostic.help,
            "fix": _fix(diagnostic),
            "related": [{**_place(item.span), "message": item.message} for item in diagnostic.related],
            "configurations": list(configurations),
        }
        for diagnostic, configurations in findings
    ]
    data = {"version": 1, "findings": items, **({} if calls is None else {"calls": calls})}
    return json.dumps(data, indent=2, ensure_ascii=False)


def _fix(diagnostic: Diagnostic) -> dict[str, str | int] | None:
    fix = diagnostic.fix
    return None if fix is None else {**_place(fix.span, with_end=True), "text": fix.text}


def _place(span: Span, with_end: bool = False) -> dict[str, str | int]:
    first, last = span.first, span.last
    place: dict[str, str | int] = {"file": span.source.display_name, "line": first.line, "column": first.column}
    if with_end:
        place |= {"end_line": last.line, "end_column": last.column}
    return place


def _finding(diagnostic: Diagnostic, use_color: bool) -> str:
    paint = _Paint(use_color)
    tint = _RED if diagnostic.severity is Severity.ERROR else _YELLOW
    message = visible(diagnostic.message)
    title = paint(f"{diagnostic.severity.value}[{diagnostic.code}]", tint) + paint(f": {message}", _BOLD)
    width = len(str(max(_line_numbers(diagnostic))))
    lines = [title, *_snippet(diagnostic.span, "-->", width, use_color, tint)]
    gutter = paint(" " * width + " = ", _BLUE)
    for related in diagnostic.related:
        lines.append(f"{gutter}note: {visible(related.message)}")
        lines += _snippet(related.span, ":::", width, use_color, _BLUE)
    if diagnostic.help:
        indent = " " * (width + 9)
        lines.append(f"{gutter}help: " + visible(diagnostic.help).replace("\n", f"\n{indent}"))
    return "\n".join(lines) + "\n"


def snippet(span: Span, arrow: str, *, use_color: bool = False) -> list[str]:
    """Returns the line of a span with carets under it."""
    return _snippet(span, arrow, len(str(span.first.line)), use_color, _BLUE)


def _line_numbers(diagnostic: Diagnostic) -> list[int]:
    return [diagnostic.span.first.line, *(related.span.first.line for related in diagnostic.related)]


def _snippet(span: Span, arrow: str, width: int, use_color: bool, tint: str) -> list[str]:
    paint = _Paint(use_color)
    if not span.source.text:
        return [f"{' ' * width}{paint(arrow, _BLUE)} {visible(span.source.display_name)}"]
    first, last = span.first, span.last
    text = span.source.line(first.line)
    end = last.column if last.line == first.line else len(text) + 1
    caret_count = max(end - first.column, 1)
    start = max(first.column - _MAX_LINE_WIDTH // 2, 0) if len(text) > _MAX_LINE_WIDTH else 0
    shown = text[start : start + _MAX_LINE_WIDTH]
    before = first.column - 1 - start
    lead = "".join("\t" if character == "\t" else " " for character in visible(shown[:before]))
    marked = shown[before : before + caret_count]
    caret_count += len(visible(marked)) - len(marked)
    carets = paint("^" * min(caret_count, _MAX_LINE_WIDTH), tint)
    bar = paint("|", _BLUE)
    return [
        f"{' ' * width}{paint(arrow, _BLUE)} {visible(str(span))}",
        f"{' ' * width} {bar}",
        f"{paint(str(first.line).rjust(width), _BLUE)} {bar} {visible(shown)}",
        f"{' ' * width} {bar} {lead}{carets}",
    ]


class _Paint:
    def __init__(self, use_color: bool) -> None:
        self._use_color = use_color

    def __call__(self, text: str, tint: str) -> str:
        return f"{tint}{text}{_RESET}" if self._use_color else text
