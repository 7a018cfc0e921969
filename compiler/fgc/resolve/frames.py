"""The surroundings of a running statement: the text it adds to, the names it sees, and how it was reached."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct, field

from fgc.diagnostics import Diagnostic
from fgc.resolve.bounds import Budget
from fgc.resolve.expressions import Evaluator
from fgc.resolve.glue import glued_include, glued_strip
from fgc.resolve.mapped import MappedText
from fgc.resolve.scope import Context, Scope
from fgc.syntax import ast
from fgc.text import Origin, Piece, Span


class Sink(Struct):
    """The place that text is added to. A template's sink closes once it has named its parent.

    `unended` is an include whose last line has no line end yet: the next text is glued to it.
    """

    pieces: list[Piece] = field(default_factory=list)
    is_open: bool = True
    unended: ast.Include | None = None

    def add(self, pieces: Iterable[Piece]) -> Diagnostic | None:
        """Appends text. Returns a finding if that glued two lines together."""
        found = None
        before = self.pieces
        for piece in pieces:
            text = piece.text
            if not text and piece.deferred is None:
                if piece.is_broken:
                    self.unended = None
                if piece.is_broken or piece.printed is not None:
                    before.append(piece)
                continue
            if self.unended is not None:
                found = self._glue(piece) or found
                self.unended = None
            elif before and text and text[0] != "\n":
                last = before[-1]
                if last.text[-1:] != "\n" and (last.is_literal or not last.text):
                    found = self._glue(piece) or found
            before.append(piece)
        return found

    def _glue(self, piece: Piece) -> Diagnostic | None:
        if not piece.text or piece.text[0] == "\n":
            return None
        if self.unended is not None:
            return glued_include(self.unended, piece)
        for before in reversed(self.pieces):
            if before.text or not before.is_blank:
                return glued_strip(before, piece)
        return None


class TemplateRun(Struct):
    """One template being run: its parent once `extends` has named it."""

    context: Context
    parent: ast.Template | None = None
    extends_span: Span | None = None
    is_broken: bool = False


class Frame(Struct, frozen=True):
    """The surroundings of a running statement; `overridden` are the blocks that its own block overrides."""

    run: TemplateRun
    scope: Scope
    sink: Sink
    via: tuple[Span, ...] = ()
    block: str | None = None
    overridden: tuple[ast.Block, ...] = ()

    def origin(self, span: Span) -> Origin:
        return Origin(span, self.via, self.block)


class Machine(Protocol):
    """The renderer as the modules see it that each handle one kind of statement."""

    @property
    def budget(self) -> Budget: ...
    @property
    def evaluator(self) -> Evaluator: ...
    @property
    def via(self) -> tuple[Span, ...]:
        """Returns the includes and calls that led to the running statement, innermost first."""

    @property
    def taken(self) -> set[int]:
        """The identities (`id`) of the branches and block bodies that ran."""

    def body(self, body: Iterable[ast.Statement], frame: Frame) -> None: ...
    def capture(self, body: Iterable[ast.Statement], frame: Frame) -> MappedText: ...
    def write(self, pieces: Iterable[Piece], frame: Frame) -> None: ...
    def join(self, pieces: Sequence[Piece], frame: Frame) -> None: ...
    def report(self, diagnostic: Diagnostic) -> None: ...
