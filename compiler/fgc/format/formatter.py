"""A template file's text to its formatted text; a file with syntax errors stays as it is.

The result is parsed again and compared: a formatter may be dull, but never change what a template means.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from fgc.diagnostics import Diagnostic, Outcome, Severity
from fgc.format.blank_lines import dropped_blank_lines
from fgc.format.codes import PlacedCode, read_codes
from fgc.format.edits import FormatEdit, apply_edits
from fgc.format.indentation import indent_statements
from fgc.format.lines import Line, LineKind, read_lines
from fgc.format.meaning import meaning_of
from fgc.format.spacing import spaced
from fgc.patterns import regex
from fgc.syntax import ast, parse
from fgc.text import Source, Span

_COMMENT = regex(r"\s*(#+)(\w.*|.*)")


def format_source(source: Source) -> Outcome[str]:
    """The formatted text; the text as it is, and why, if it has syntax errors."""
    parsed = parse(source)
    errors = tuple(found for found in parsed.diagnostics if found.severity is Severity.ERROR)
    if errors:
        return Outcome(source.text, errors)
    text = _formatted(source, parsed.value)
    again = parse(Source(source.name, text, source.path))
    if meaning_of(again.value) != meaning_of(parsed.value):
        message = "formatting would change what this file means; it stays as it is"
        help = "this is a mistake of `fgc fmt`: please report it with the file"
        return Outcome(source.text, (Diagnostic("FGC090", message, Span(source, 0, 0), help=help),))
    return Outcome(text)


def _formatted(source: Source, file: ast.ParsedFile) -> str:
    lines, codes = list(read_lines(source.text)), list(read_codes(source))
    indents = indent_statements(lines, codes)
    dropped = dropped_blank_lines(file, lines, codes)
    edits = [
        *_statement_edits(source.text, lines, codes, indents),
        *_inline_edits(source.text, codes),
        *_header_edits(source.text, lines, codes),
        *_comment_edits(source.text, lines, indents),
        *(FormatEdit(line.start, min(line.end + 1, len(source.text)), "") for line in dropped),
    ]
    return _with_line_end(apply_edits(source.text, edits), source, file)


def _statement_edits(
    text: str, lines: Sequence[Line], codes: Iterable[PlacedCode], indents: Mapping[int, str]
) -> Iterator[FormatEdit]:
    """Lines behind a sigil: indentation, one space, the statement, two spaces and the comment."""
    by_code = {code.start: code for code in codes if code.sigil is not None}
    for line in lines:
        code = by_code.get(line.start + len(line.indent)) if line.kind is LineKind.STATEMENT else None
        if code is not None:
            indent = indents.get(line.start, line.indent)
            yield FormatEdit(
                line.start, line.end, f"{indent}{code.sigil} {_code_text(code, text)}{_comment(text, line)}"
            )


def _comment(text: str, line: Line) -> str:
    """The trailing comment of a line that is no document text, two spaces away."""
    comment = text[line.kept_end : line.end].strip()
    return f"  {comment}" if comment else ""


def _inline_edits(text: str, codes: Iterable[PlacedCode]) -> Iterator[FormatEdit]:
    """Statements and prints between delimiters: one space inside each."""
    for code in codes:
        if code.inline_end is not None and code.tokens:
            left, right = ("{{", "}}") if code.code.is_print else ("{%", "%}")
            body = _code_text(code, text)
            yield FormatEdit(code.start, code.inline_end, f"{left}{code.strips[0]} {body} {code.strips[1]}{right}")


def _code_text(code: PlacedCode, text: str) -> str:
    return spaced(code.tokens, is_statement=not code.code.is_print)


def _header_edits(text: str, lines: Sequence[Line], codes: Iterable[PlacedCode]) -> Iterator[FormatEdit]:
    """Block headers: nothing behind the bracket but a comment. Their indentation has a meaning, and stays."""
    names = {code.code.header.name.start for code in codes if code.code.header is not None}
    for line in lines:
        if line.kind is LineKind.HEADER and line.start + len(line.indent) + 1 in names:
            header = text[line.start : line.kept_end].rstrip()
            yield FormatEdit(line.start, line.end, header + _comment(text, line))


def _comment_edits(text: str, lines: Sequence[Line], indents: Mapping[int, str]) -> Iterator[FormatEdit]:
    """Comment lines: a space before the first word, none behind the last; they may move with their statement."""
    for line in lines:
        match = _COMMENT.fullmatch(text[line.start : line.end]) if line.kind is LineKind.COMMENT else None
        if match is not None:
            gap = " " if match[2][:1].isalnum() else ""
            indent = indents.get(line.start, line.indent)
            yield FormatEdit(line.start, line.end, f"{indent}{match[1]}{gap}{match[2]}".rstrip())


def _with_line_end(text: str, source: Source, file: ast.ParsedFile) -> str:
    """The text with a line end at its end, unless that would add one to the document."""
    if not text or text.endswith("\n"):
        return text
    ended = parse(Source(source.name, text + "\n", source.path))
    return text + "\n" if meaning_of(ended.value) == meaning_of(file) else text
