"""Reads a statement with a syntax error as what it seems to be: it still opens, ends and defines what it says.

What it defines is broken (`Invalid`), so that no later stage complains of it a second time.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from fgc.diagnostics import nearest
from fgc.syntax import ast
from fgc.syntax.nodes import UNKNOWN, Head
from fgc.syntax.tokens import Token
from fgc.text import Span

_NAMES = {"call": "call_block", "filter": "filter_block", "from": "from_import"}
_NOTHING = Token(("NAME",), "", 0, 0)


def placeholder(tokens: Sequence[Token], span: Span) -> Head:
    """Returns a broken head with `Invalid` for what cannot be read."""
    if not tokens:
        return Head(UNKNOWN, span, [], True)
    keyword, rest = _keyword(tokens), tokens[1 + is_doubled(tokens) :]
    if keyword is None and _sets(tokens):
        keyword, rest = "set", tokens
    return Head(UNKNOWN, span, [], True) if keyword is None else _head(keyword, rest, span)


def _head(keyword: str, rest: Sequence[Token], span: Span) -> Head:
    parts = _PARTS[keyword](rest, span)
    is_captured = keyword == "set" and len(parts) == 1
    return Head("set_block" if is_captured else _NAMES.get(keyword, keyword), span, parts, True)


def _keyword(tokens: Sequence[Token]) -> str | None:
    """The statement that is meant: the keyword, or the one that it is a slip of."""
    word = tokens[0].text
    return word if word in _PARTS else nearest(word, _PARTS) if word.isidentifier() else None


def is_doubled(tokens: Sequence[Token]) -> bool:
    """Returns True if a statement's keyword stands twice, with more behind it."""
    return len(tokens) > 2 and tokens[0].text == tokens[1].text and tokens[0].text in _PARTS


def _sets(tokens: Sequence[Token]) -> bool:
    """Returns True if tokens look like an assignment without its `set`."""
    names = [token.text for token in tokens[:4]]
    return names[1:2] == ["="] or (names[1:2] == ["."] and names[3:4] == ["="])


def _targets(tokens: Sequence[Token], span: Span, until: str) -> ast.Target:
    """The names and attributes in front of `until`, or in all tokens."""
    end = next((at for at, token in enumerate(tokens) if token.text == until), len(tokens))
    found = list(_each_target(tokens[:end], span))
    return found[0] if len(found) == 1 else ast.TargetTuple(span, tuple(found))


def _each_target(tokens: Sequence[Token], span: Span) -> Iterator[ast.Target]:
    at = 0
    while at < len(tokens):
        has_dot = [token.text for token in tokens[at + 1 : at + 2]] == ["."]
        attribute = tokens[at + 2] if has_dot and at + 2 < len(tokens) else None
        if "NAME" not in tokens[at].terminals:
            at += 1
        elif attribute is None:
            yield ast.Name(span, tokens[at].text)
            at += 1
        else:
            yield ast.NamespaceTarget(span, tokens[at].text, attribute.text, span)
            at += 3


def _name(tokens: Sequence[Token]) -> Token:
    return tokens[0] if tokens and "NAME" in tokens[0].terminals else _NOTHING


def _bindings(tokens: Sequence[Token], span: Span) -> list[tuple[ast.Target, ast.Expr]]:
    names = [token for token, after in pairwise(tokens) if after.text == "="]
    return [(ast.Name(span, token.text), ast.Invalid(span)) for token in names]


def _behind(tokens: Sequence[Token], word: str) -> list[Token]:
    at = next((at for at, token in enumerate(tokens) if token.text == word), len(tokens))
    return list(tokens[at + 1 :])


def _imported(tokens: Sequence[Token], span: Span) -> list[ast.ImportedName]:
    """The names of a `from ... import`; one behind `as` is the name of what stands before it."""
    names = [token.text for token in _behind(tokens, "import") if "NAME" in token.terminals or token.text == "as"]
    return [ast.ImportedName(span, name, name) for name in names if name != "as"]


def _set(tokens: Sequence[Token], span: Span) -> list[Any]:
    is_block = not any(token.text == "=" for token in tokens)
    target = _targets(tokens, span, "|" if is_block else "=")
    return [target] if is_block else [target, ast.Invalid(span)]


_PARTS: dict[str, Callable[[Sequence[Token], Span], list[Any]]] = {
    "if": lambda tokens, span: [ast.Invalid(span)],
    "elif": lambda tokens, span: [ast.Invalid(span)],
    "else": lambda tokens, span: [],
    "for": lambda tokens, span: [_targets(tokens, span, "in"), ast.Invalid(span)],
    "block": lambda tokens, span: [_name(tokens)],
    "macro": lambda tokens, span: [_name(tokens), ()],
    "call": lambda tokens, span: [ast.CallExpr(span, ast.Invalid(span), ast.Arguments(span))],
    "filter": lambda tokens, span: [()],
    "with": _bindings,
    "autoescape": lambda tokens, span: [],
    "extends": lambda tokens, span: [ast.Invalid(span)],
    "include": lambda tokens, span: [ast.Invalid(span)],
    "import": lambda tokens, span: [ast.Invalid(span), _name(_behind(tokens, "as"))],
    "from": lambda tokens, span: [ast.Invalid(span), *_imported(tokens, span)],
    "set": _set,
    **dict.fromkeys(
        (
            *("endif", "endfor", "endblock", "endmacro", "endcall", "endfilter", "endset", "endwith"),
            "endautoescape",
        ),
        lambda tokens, span: [],
    ),
}
