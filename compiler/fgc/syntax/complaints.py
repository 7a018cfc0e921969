"""Tokens that do not fit the grammar to a finding: what is wrong, in words, and what to write."""

from fgc.diagnostics import Diagnostic, Edit, did_you_mean
from fgc.syntax.delimit import Code, span_of
from fgc.syntax.lines import Shadow
from fgc.syntax.lr import Unexpected
from fgc.syntax.recover import is_doubled
from fgc.syntax.tables import load
from fgc.syntax.tokens import Token
from fgc.text import Span

_MISSING = ("RPAR", "RSQB", "RBRACE", "IN", "EQUAL", "AS", "IMPORT", "CONTEXT", "MISSING")
_VALUES = ("NAME", "STRING", "INTEGER", "FLOAT")


def syntax_error(shadow: Shadow, code: Code, unexpected: Unexpected) -> Diagnostic:
    """The finding of a statement or print that the grammar refuses."""
    if not code.tokens:
        what = "print" if code.is_print else "statement"
        return Diagnostic("FGC108", f"this {what} is empty", span_of(shadow, code))
    token = unexpected.token
    if code.is_print and code.tokens[0].text == "{" and code.tokens[0].start == code.start + 2:
        span = shadow.span(code.tokens[0].start, code.tokens[0].end)
        return Diagnostic("FGC101", "there is one `{` too many here", span, help="a print begins with `{{`")
    if not code.is_print and is_doubled(code.tokens):
        return _doubled(shadow, code.tokens[0], code.tokens[1])
    if token is not None and token is code.tokens[0] and not code.is_print:
        return _unknown_statement(shadow, token)
    if token is None or not shadow.is_literal(token.start):
        return _too_short(shadow, code, unexpected)
    return _misplaced(shadow, code, token, unexpected)


def _doubled(shadow: Shadow, first: Token, second: Token) -> Diagnostic:
    span = shadow.span(second.start, second.end)
    fix = Edit(shadow.span(first.end, second.end), "")
    return Diagnostic("FGC101", f"`{second.text}` stands twice", span, help="remove one of them", fix=fix)


def _too_short(shadow: Shadow, code: Code, unexpected: Unexpected) -> Diagnostic:
    written = [token for token in code.tokens if shadow.is_literal(token.start)]
    if not written:  # a `{` that stands right before the delimiter which a line rule makes
        return Diagnostic("FGC101", "a brace is missing, or there is one too many", span_of(shadow, code))
    last = written[-1]
    span = shadow.span(last.end - 1, last.end)
    at_end = Span(span.source, span.end, span.end)
    return Diagnostic("FGC101", f"{_expectation(unexpected.expected)} after `{last.text}`", at_end)


def _misplaced(shadow: Shadow, code: Code, token: Token, unexpected: Unexpected) -> Diagnostic:
    expected = unexpected.expected
    span = shadow.span(token.start, token.end)
    before = code.tokens[code.tokens.index(token) - 1].text if code.tokens[0] is not token else ""
    missing = [name for name in _MISSING if name in expected]
    message, help = f"unexpected `{span.text}`", None
    if token.text == "=" and "__ANON_0" in expected:
        help = "to compare, write `==`"
    elif token.text == "}" and not code.is_print and "{{" in shadow.source.line(span.first.line):
        help = "a statement takes names as they are, without `{{` and `}}`"
    elif token.text == "|" and before == "|":
        help = "write `or`"
    elif before == ":" and code.tokens[0].text == "set":
        token = code.tokens[code.tokens.index(token) - 1]
        span = shadow.span(token.start, token.end)
        message = "`=` is expected here, not `:`"
    elif before == "." and "STRING" in token.terminals:
        token = code.tokens[code.tokens.index(token) - 1]
        message, help = "unexpected `.`", "write `, ` between the arguments, or a name after `.`"
        span = shadow.span(token.start, token.end)
    elif len(missing) == 1:
        message = f"`{_literal(missing[0])}` is expected here, not `{span.text}`"
        help = did_you_mean(token.text, [_literal(missing[0])])
    elif any(name in token.terminals for name in _VALUES) and "ADDITIVE" in expected:
        help = f"an operator or a comma is missing between `{before}` and `{span.text}`"
    return Diagnostic("FGC101", message, span, help=help)


def _unknown_statement(shadow: Shadow, token: Token) -> Diagnostic:
    literals = load("template").literals
    start = load("template").states[load("template").starts["statement"]]
    keywords = [*(text for text, name in literals.items() if name in start), "raw"]
    help = did_you_mean(token.text, keywords)
    if token.text in ("do", "break", "continue"):
        help = f"the language has no `{token.text}`; to set a value use `set`"
    if token.text == ":" and shadow.source.text[: shadow.offset(token.start)].rstrip().endswith("<<"):
        help = "`<< ` begins a statement; a YAML merge key is written without the space: `<<: *name`"
    message = f"unknown statement `{token.text}`"
    return Diagnostic("FGC102", message, shadow.span(token.start, token.end), help=help)


def _literal(name: str) -> str:
    return next(text for text, terminal in load("template").literals.items() if terminal == name)


def _expectation(expected: tuple[str, ...]) -> str:
    """Returns what is missing, in words: a closing bracket or keyword if it is the only way on, else an expression."""
    missing = [name for name in _MISSING if name in expected]
    if "NAME" in expected and "STRING" in expected:
        return "an expression is missing"
    if len(missing) == 1:
        return f"`{_literal(missing[0])}` is missing"
    if "NAME" in expected:
        return "a name is missing"
    return "something is missing"
