"""What a statement with a syntax error is taken for, so that its end, and the names it sets, raise no second error."""

from collections.abc import Sequence

from fgc.syntax import ast
from fgc.syntax.nodes import Head
from fgc.syntax.tables import load
from fgc.syntax.tokens import Token
from fgc.text import Span


def placeholder(tokens: Sequence[Token], span: Span) -> Head | None:
    """A head with `Invalid` for what cannot be read; None if the statement opens and sets nothing."""
    if not tokens:
        return None
    keyword, rest = tokens[0].text, tokens[1:]
    invalid = ast.Invalid(span)
    named = rest[0] if rest and "NAME" in rest[0].terminals else Token(("NAME",), "", 0, 0)
    target = ast.Name(span, named.text)
    if keyword == "set":
        has_value = any(token.text == "=" for token in rest)
        return Head("set", span, [target, invalid]) if has_value else Head("set_block", span, [target])
    heads = {
        "if": Head("if", span, [invalid]),
        "elif": Head("elif", span, [invalid]),
        "else": Head("else", span, []),
        "for": Head("for", span, [target, invalid]),
        "block": Head("block", span, [named]),
        "macro": Head("macro", span, [named, ()]),
        "call": Head("call_block", span, [ast.CallExpr(span, invalid, ast.Arguments(span))]),
        "filter": Head("filter_block", span, [()]),
        "with": Head("with", span, []),
        "autoescape": Head("autoescape", span, []),
        "extends": Head("extends", span, [invalid]),
    }
    if keyword.startswith("end") and keyword in load("template").literals:
        return Head(keyword, span, [])
    return heads.get(keyword)
