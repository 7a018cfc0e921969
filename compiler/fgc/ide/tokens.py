"""Sorts the words of a file by their meaning, for colours: the marks, with tags, comments and statements."""

from collections.abc import Iterator
from typing import Literal, TypeAlias, get_args

from msgspec import Struct

from fgc.ide.editor import Editor
from fgc.ide.marks import Mark, MarkKind
from fgc.ide.navigation import overridden
from fgc.patterns import regex
from fgc.syntax import TAG_KINDS
from fgc.text import Source, Span

TokenKind: TypeAlias = Literal[
    "keyword", "class", "function", "macro", "variable", "property", "string", "comment", "label", "decorator"
]
Modifier: TypeAlias = Literal["definition", "overrides"]
KINDS: tuple[TokenKind, ...] = get_args(TokenKind)
MODIFIERS: tuple[Modifier, ...] = get_args(Modifier)

_OF_MARKS: dict[MarkKind, TokenKind] = {
    MarkKind.BLOCK: "class",
    MarkKind.TEMPLATE: "string",
    MarkKind.MACRO: "macro",
    MarkKind.VARIABLE: "variable",
    MarkKind.ATTRIBUTE: "property",
    MarkKind.ANCHOR: "label",
    MarkKind.CALLABLE: "function",
    MarkKind.OBJECT: "label",
    MarkKind.SUPER: "keyword",
    MarkKind.FILTER: "function",
    MarkKind.TEST: "function",
}
_STATEMENT = regex(r"(?m)^[ \t]*(?:--|<<|>>)[ \t]+(?P<word>[a-z]+)\b|\{%[-+]?\s*(?P<inner>[a-z]+)\b")
_COMMENT = regex(r"(?m)^[ \t]*##[^\n]*")
_TAG = regex(rf"(?<![^\s\[{{,])!(?:{'|'.join(TAG_KINDS)})\b")


class SemanticToken(Struct, frozen=True):
    """A word with its kind; no token covers a line end, and none overlaps another."""

    span: Span
    kind: TokenKind
    modifiers: tuple[Modifier, ...] = ()


def tokens(editor: Editor, path: str) -> list[SemanticToken]:
    """Returns the tokens of a file in the order of their places."""
    source = editor.source(path)
    found = [*_of_words(source), *(_of_mark(editor, path, mark) for mark in editor.families.marks(path))]
    kept: list[SemanticToken] = []
    for token in sorted(found, key=lambda token: (token.span.start, -token.span.end)):
        is_free = not kept or token.span.start >= kept[-1].span.end
        if is_free and token.span.end > token.span.start and "\n" not in token.span.text:
            kept.append(token)
    return kept


def _of_mark(editor: Editor, path: str, mark: Mark) -> SemanticToken:
    modifiers: list[Modifier] = ["definition"] if mark.is_definition else []
    if mark.kind is MarkKind.BLOCK and overridden(editor, path, mark):
        modifiers.append("overrides")
    return SemanticToken(mark.span, _OF_MARKS[mark.kind], tuple(modifiers))


def _of_words(source: Source) -> Iterator[SemanticToken]:
    for match in _STATEMENT.finditer(source.text):
        group = "word" if match["word"] else "inner"
        yield SemanticToken(Span(source, *match.span(group)), "keyword")
    for match in _COMMENT.finditer(source.text):
        yield SemanticToken(Span(source, *match.span()), "comment")
    for match in _TAG.finditer(source.text):
        yield SemanticToken(Span(source, *match.span()), "decorator")
