"""The place where something is written, and what is offered there."""

import re
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

from fgc.ide.editor import Editor
from fgc.ide.families import Closure, TemplateId
from fgc.ide.marks import Mark, MarkKind
from fgc.ide.words import global_texts
from fgc.text import Source, Span

ItemKind: TypeAlias = Literal[
    "statement", "block", "template", "variable", "attribute", "anchor", "tag", "module", "callable", "keyword",
    "value", "filter", "test", "macro", "key", "option",
]  # fmt: skip
_MAX_CLOSURES = 20


class Completion(Struct, frozen=True):
    """Something that may be written: the text takes the place of `span`.

    `detail` is one line about it, `shows` the text that stands behind it.
    """

    label: str
    kind: ItemKind
    span: Span
    detail: str = ""
    text: str | None = None
    shows: str = ""

    @property
    def new_text(self) -> str:
        return self.label if self.text is None else self.text


class Spot(Struct, frozen=True):
    """The place where somebody writes. `before` is the line up to it."""

    editor: Editor
    path: str
    source: Source
    offset: int
    before: str

    def replaced(self, word: str) -> Span:
        """Returns the place of a word that ends here."""
        return Span(self.source, self.offset - len(word), self.offset)

    def words(
        self, words: Iterable[str], kind: ItemKind, found: re.Match[str], around: tuple[str, str] = ("", "")
    ) -> Iterator[Completion]:
        """Yields words that take the place of the group `word` of a match, with the text before and behind them."""
        span = self.replaced(found["word"])
        front, behind = around
        for word in words:
            yield Completion(word, kind, span, "", f"{front}{word}{behind}" if front or behind else None)

    def told(self, texts: Iterable[tuple[str, str]], kind: ItemKind, found: re.Match[str]) -> Iterator[Completion]:
        """Yields words, each with a line about it."""
        for word, text in texts:
            yield Completion(word, kind, self.replaced(found["word"]), text)

    @property
    def closures(self) -> list[Closure]:
        """Returns the closures in which the file takes part, the file's own first."""
        families = self.editor.families
        return [families.closure(self.path), *families.family(self.path)[:_MAX_CLOSURES]]

    def marks(self, *kinds: MarkKind) -> Iterator[Mark]:
        """Yields the marks of the templates around, but the one that is being written."""
        families = self.editor.families
        for file in families.sources(self.closures):
            for mark in families.marks(file):
                if mark.kind in kinds and not (file == self.path and mark.span.end == self.offset):
                    yield mark

    def names(self, kind: MarkKind) -> list[str]:
        """Returns the names of a kind that the templates around define."""
        return sorted({mark.name for mark in self.marks(kind) if mark.is_definition})

    def free_names(self) -> list[str]:
        """Returns the variables that the templates around read and none sets: they are given from outside."""
        every = [*self.marks(MarkKind.VARIABLE, MarkKind.MACRO)]
        known = {mark.name for mark in every if mark.is_definition or mark.kind is MarkKind.MACRO}
        return sorted({mark.name for mark in every} - known - global_texts().keys() - _OF_STATEMENTS)

    def blocks_above(self) -> Iterator[tuple[TemplateId, Mark]]:
        """Yields the blocks of ancestors of the file's templates, the nearest of a name first."""
        families = self.editor.families
        seen: set[str] = set()
        for closure in self.closures:
            for template in closure.ancestors(TemplateId(self.path)):
                for mark in families.marks(template.path):
                    if mark.kind is MarkKind.BLOCK and mark.part == template.part and mark.name not in seen:
                        seen.add(mark.name)
                        yield template, mark


_OF_STATEMENTS = {"super", "loop", "caller", "varargs", "kwargs", "self", "true", "false", "none"}
