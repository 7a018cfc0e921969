"""Lines of a template to the text that its delimiters cut: sigils, comments and block headers become delimiters.

The result is a `Shadow`: the text as a template engine with delimiters would want it, with a map from every one of
its characters to the author's. Line rules know no strings, no YAML and no open expressions.
"""

import re
from bisect import bisect_right
from typing import TYPE_CHECKING

from msgspec import Struct, field

from fgc.diagnostics import Diagnostic, Edit, Related, Severity
from fgc.patterns import regex
from fgc.syntax.quotes import cut_quote_finding, cuts_quote
from fgc.syntax.tables import line_pattern
from fgc.syntax.tokens import LineEnd
from fgc.text import Source, Span

if TYPE_CHECKING:
    from fgc.syntax.line_slips import Slip

_COMMENT_LINE = line_pattern("COMMENT_LINE")
_TRAILING_COMMENT = line_pattern("TRAILING_COMMENT")
_LINE_STATEMENT = line_pattern("LINE_STATEMENT")
_BLOCK_HEADER = line_pattern("BLOCK_HEADER")
# a line that may have been meant as another: few have to be looked at
_SUSPECT = regex(
    r"\s*+(?:(?:--|<<|>>)[a-z]|[\u2010-\u2015\u2212]|-[\u2010-\u2015\u2212]|[\[({<]|=?\s*super\(\)|[^\W\d][\w-]*!?\s*\]\s*$"
    r"|-{1,3}\s+(?:if|elif|else|for|set|include|extends|import|from|macro|block|filter|call|with|end\w+)\b)"
)
_DELIMITERS = {
    "--": ("{% ", " %}"),
    "<<": ("{%- ", " %}"),
    ">>": ("{% ", " -%}"),
    "==": ("{{ ", " }}"),
    "=>": ("{{ ", " |trim('\\n') }}"),
}


class Header(Struct, frozen=True):
    """A block header that is open: its indentation, its name, and whether the block is trimmed."""

    indent: int
    name: Span
    is_trimmed: bool


class Shadow(Struct):
    """A text made from a source, and where each of its characters comes from.

    `headers` and `closings` tell which delimiters in the text stand for block headers, by offset; `line_ends` where
    the delimiter that a sigil opens is closed.
    """

    source: Source
    text: str = ""
    headers: dict[int, Header] = field(default_factory=dict)
    closings: dict[int, Header] = field(default_factory=dict)
    line_ends: dict[int, LineEnd] = field(default_factory=dict)
    _starts: list[int] = field(default_factory=list)
    _chunks: list[tuple[int, int, bool]] = field(default_factory=list)

    def literal_runs(self, start: int, end: int) -> list[tuple[int, int, bool, Span]]:
        """The range cut into runs of one origin: start, end, whether literal, and the span."""
        runs = []
        index = bisect_right(self._starts, start) - 1
        while start < end:
            chunk_start = self._starts[index]
            chunk_end = self._starts[index + 1] if index + 1 < len(self._starts) else len(self.text)
            source_start, source_end, is_literal = self._chunks[index]
            stop = min(end, chunk_end)
            if stop > start:
                span = (
                    Span(self.source, source_start + start - chunk_start, source_start + stop - chunk_start)
                    if is_literal
                    else Span(self.source, source_start, source_end)
                )
                runs.append((start, stop, is_literal, span))
            start = max(stop, start)
            index += 1
        return runs

    def is_literal(self, position: int) -> bool:
        """Returns True if the author wrote the character at `position`; no line rule made it."""
        return self._chunks[max(bisect_right(self._starts, position) - 1, 0)][2]

    def offset(self, position: int) -> int:
        """The source offset of the character at `position`; for the end of the text, the end of the last one."""
        if not self._starts:
            return 0
        index = bisect_right(self._starts, position) - 1 if position > 0 else 0
        source_start, source_end, is_literal = self._chunks[index]
        if not is_literal:
            return source_start
        offset = source_start + position - self._starts[index]
        return offset if offset < source_end else source_end

    def span(self, start: int, end: int) -> Span:
        """The author's characters behind a range: a last line without an end is read as if it had one."""
        first = self.offset(start)
        last = min(self.offset(end - 1) + 1, len(self.source.text)) if end > start else first
        return Span(self.source, first, last if last > first else first)


class _Builder:
    """Writes lines to a shadow; delimiters that it makes up point at the sigil or header they stand for."""

    def __init__(self, source: Source) -> None:
        self.shadow = Shadow(source)
        self._texts: list[str] = []
        self.length = 0

    def literal(self, start: int, end: int) -> None:
        self._add(self.shadow.source.text[start:end], start, end, True)

    def made_up(self, text: str, start: int, end: int) -> None:
        self._add(text, start, end, False)

    def _add(self, text: str, start: int, end: int, is_literal: bool) -> None:
        if not text:
            return
        self.shadow._starts.append(self.length)
        self.shadow._chunks.append((start, end, is_literal))
        self._texts.append(text)
        self.length += len(text)

    def finish(self) -> Shadow:
        self.shadow.text = "".join(self._texts).removesuffix("\n")  # a template loses its last line end
        return self.shadow


class _LineReader:
    """Reads the lines of one part of a source. State: open headers, and whether the last output line is empty."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._out = _Builder(source)
        self._open: list[Header] = []
        self._seen: dict[str, Span] = {}
        self._last_is_empty = True
        self._is_first = True
        self.diagnostics: list[Diagnostic] = []

    def read(self, start: int, end: int) -> Shadow:
        """The shadow of a range. What follows its last line end is a line too, and may be empty."""
        text = self._source.text
        position = start
        while position <= end:
            stop = text.find("\n", position, end)
            stop = end if stop < 0 else stop
            self._line(position, stop)
            position = stop + 1
        self._close(0, end)
        return self._out.finish()

    def _line(self, start: int, end: int) -> None:
        line = self._source.text[start:end]
        if _COMMENT_LINE.fullmatch(line):
            return
        if comment := _TRAILING_COMMENT.fullmatch(line):
            self._warn_cut_quote(start, comment)
            end = start + comment.end("kept")
            line = line[: comment.end("kept")]
        if statement := _LINE_STATEMENT.fullmatch(line):
            self._statement(start, statement)
        elif header := _BLOCK_HEADER.fullmatch(line):
            self._header(start, header)
        elif _SUSPECT.match(line) is None or not self._slipped(start, end, line):
            self._begin_line(start)
            self._out.literal(start, end)
            self._last_is_empty = start == end

    def _slipped(self, start: int, end: int, line: str) -> bool:
        """Returns True if a line was meant as another one, as which it was written."""
        from fgc.syntax.line_slips import GLUED, is_meant, slip_of  # most templates have no such line

        if (glued := GLUED.fullmatch(line)) and is_meant(glued, self._source.text, start):
            self._glued(start, end, glued)
            return True
        slip = slip_of(self._source.text, start, end, line)
        if slip is not None:
            self._slip(start, slip)
        return slip is not None

    def _begin_line(self, start: int) -> None:
        if not self._is_first:
            self._out.literal(start - 1, start)
        self._is_first = False

    def _slip(self, start: int, slip: "Slip") -> None:
        """A line that is text, and an error: it counts as what was meant, so that nothing follows."""
        place = Span(self._source, start + slip.start, start + max(slip.end, slip.start + 1))
        fix = Edit(Span(self._source, start + slip.start, start + slip.end), slip.better)
        code = "FGC107" if slip.kind == "header" else "FGC101"
        self.diagnostics.append(Diagnostic(code, slip.message, place, help=slip.help, fix=fix))
        first, last = start + slip.rest[0], start + slip.rest[1]
        if slip.kind == "header":
            self._open_header(start, Header(slip.start, Span(self._source, first, last), slip.better.endswith("!]")))
            return
        opening, closing = _DELIMITERS["==" if slip.kind == "print" else "--"]
        self._made_up_statement(start, (opening, closing), (start + slip.start, first), (first, last))

    def _made_up_statement(
        self, start: int, delimiters: tuple[str, str], sigil: tuple[int, int], rest: tuple[int, int]
    ) -> None:
        """Writes a line's statement or print between delimiters that stand for its sigil."""
        self._begin_line(start)
        opening_at = self._out.length
        self._out.made_up(delimiters[0], *sigil)
        self._out.literal(*rest)
        written = self._out.length
        self._out.made_up(delimiters[1], *sigil)
        self._out.shadow.line_ends[opening_at] = LineEnd(written, self._out.length - len("%}"))
        self._last_is_empty = False

    def _statement(self, start: int, match: re.Match[str]) -> None:
        sigil, rest = match.span("sigil"), match.span("rest")
        opening, closing = _DELIMITERS[match["sigil"]]
        span = start + sigil[0], start + sigil[1]
        if not match["rest"].strip():
            message = f"`{match['sigil']}` opens a statement, but nothing follows"
            self.diagnostics.append(Diagnostic("FGC108", message, Span(self._source, *span), help="remove the line"))
            return
        self._made_up_statement(start, (opening, closing), span, (start + rest[0], start + rest[1]))

    def _glued(self, start: int, end: int, glued: re.Match[str]) -> None:
        """A line that is text, and an error; the statement that it was to be counts too, so that nothing follows."""
        sigil, word = glued["sigil"], glued["rest"].split(maxsplit=1)[0].rstrip(":")
        place = Span(self._source, start + glued.start("sigil"), start + glued.start("rest") + len(word))
        message = f"a space is missing between `{sigil}` and `{word}`"
        fix = Edit(Span(self._source, start + glued.end("sigil"), start + glued.end("sigil")), " ")
        self.diagnostics.append(Diagnostic("FGC101", message, place, help=f"write `{sigil} {word}`", fix=fix))
        sigil_span = start + glued.start("sigil"), start + glued.end("sigil")
        rest = start + glued.start("rest"), start + glued.end("rest")
        self._made_up_statement(start, ("{% ", " %}"), sigil_span, rest)
        self._out.literal(start, end)

    def _header(self, start: int, match: re.Match[str]) -> None:
        name = Span(self._source, start + match.start("name"), start + match.end("name"))
        if match["name"].isidentifier():
            self._open_header(start, Header(len(match["indent"]), name, bool(match["trim"])))
        else:
            self._refuse(name, match["name"])

    def _open_header(self, start: int, header: Header) -> None:
        name = header.name
        self._close(header.indent, start)
        self._begin_line(start)
        if earlier := self._seen.get(name.text):
            related = (Related(earlier, "the first one is here"),)
            message = f"block `{name.text}` is defined twice in this template"
            self.diagnostics.append(
                Diagnostic("FGC106", message, name, help="rename one of them, or join them", related=related)
            )
        self._seen.setdefault(name.text, name)
        self._out.shadow.headers[self._out.length] = header
        self._out.made_up("{% block ", name.start - 1, name.start)
        if "-" in name.text:
            self._out.made_up(name.text.replace("-", "_"), name.start, name.end)
        else:
            self._out.literal(name.start, name.end)
        self._out.made_up(" %}", name.end, name.end + 1)
        self._open.append(header)
        self._last_is_empty = False

    def _refuse(self, name: Span, text: str) -> None:
        message = f"`[{text}]` alone on a line is read as a block header, and `{text}` is not a name"
        help = f"to write a YAML list, put it after a key or write `- {text}` on a line of its own"
        self.diagnostics.append(Diagnostic("FGC107", message, name, help=help))

    def _close(self, indent: int, at: int) -> None:
        """Close open headers indented as much or more. The first ends the last line; others have their own."""
        is_first_closing = True
        while self._open and self._open[-1].indent >= indent:
            header = self._open.pop()
            if not is_first_closing:
                self._out.made_up("\n", at, at)
            elif not self._last_is_empty:
                self._out.made_up("{{'\\n'}}", at, at)
            is_first_closing = False
            self._out.shadow.closings[self._out.length] = header
            self._out.made_up("{% endblock %}" if header.is_trimmed else "{% endblock +%}", at, at)
            self._last_is_empty = False

    def _warn_cut_quote(self, start: int, match: re.Match[str]) -> None:
        at = match.end("kept")
        if not cuts_quote(match.string, at):
            return
        place = Span(self._source, start + at + 1, start + match.end())
        self.diagnostics.append(cut_quote_finding(place, Severity.WARNING))


def read_lines(source: Source, start: int, end: int) -> tuple[Shadow, list[Diagnostic]]:
    """Apply the line rules to `source.text[start:end]`."""
    reader = _LineReader(source)
    shadow = reader.read(start, end)
    return shadow, reader.diagnostics
