"""Writes scalars as exact Python literals."""

import math

from fgc.emit.expression import Attribute, Constant, Expression, Lines, Name, Unary
from fgc.ir import NodeId, Scalar

_MAX_DIGITS = 4000  # Python's limit for decimal integers is 4300 digits
_LINE = 88  # columns: a string that does not fit on its own line is split
_PIECE = 64
_TEXT_LINES = 3
_MILLION = 1_000_000  # larger numbers get underscores
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def literal(value: Scalar, node: NodeId | None = None) -> Expression:
    """Returns a literal for a scalar; the caller handles infinities and nan, which need an import."""
    match value:
        case None | bool():
            return Constant(repr(value), node)
        case int():
            return Constant(_integer(value), node, value < 0)
        case float():
            assert math.isfinite(value), "a non-finite float has no literal"
            return Constant(_float(value), node, math.copysign(1.0, value) < 0)
        case str():
            return string(value, node)


def non_finite(value: float, math_module: str, node: NodeId | None = None) -> Expression:
    """Returns `math.inf`, `-math.inf` or `math.nan`."""
    if math.isnan(value):
        return Attribute(Name(math_module), "nan", node, is_pure=True)
    if value < 0:
        return Unary("-", Attribute(Name(math_module), "inf", is_pure=True), node)
    return Attribute(Name(math_module), "inf", node, is_pure=True)


def string(value: str, node: NodeId | None = None) -> Expression:
    """Returns a string literal; one too long for a line becomes adjacent pieces, split at its lines and words."""
    quoted = quote(value)
    if len(quoted) <= _LINE:
        return Constant(quoted, node)
    pieces = tuple(quote(piece) for piece in _pieces(value))
    return Lines(pieces, node) if len(pieces) > 1 else Constant(quoted, node)


def is_text(value: str) -> bool:
    """Returns True if a string is a text of several lines, which a person would write between triple quotes."""
    return value.count("\n") >= _TEXT_LINES


def text(value: str) -> Constant:
    """Returns a string between triple quotes, one line for each of its lines."""
    core = value.rstrip('"')
    lines = "\n".join(_text_line(line) for line in core.split("\n")).replace('"""', '\\"\\"\\"')
    quotes = '\\"' * (len(value) - len(core))
    return Constant(f'"""\\\n{lines}{quotes}"""')


def _text_line(line: str) -> str:
    """Returns one line, with a trailing space escaped so that editors do not remove it."""
    escaped = escape(line)
    return escaped[:-1] + "\\x20" if escaped.endswith(" ") else escaped


def quote(value: str) -> str:
    """Returns a string literal, with double quotes unless single ones avoid backslashes."""
    mark = "'" if '"' in value and "'" not in value else '"'
    return mark + escape(value).replace(mark, "\\" + mark) + mark


def escape(value: str) -> str:
    """Returns text escaped for the inside of a literal, except for quotes."""
    return "".join(_escaped(character) for character in value)


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def _integer(value: int) -> str:
    if abs(value) >= _MILLION and value % 1000 == 0 and value.bit_length() <= 3 * _MAX_DIGITS:
        return f"{value:_}"
    if value.bit_length() <= 3 * _MAX_DIGITS:
        return str(value)
    digits = f"{abs(value):X}"
    return ("-" if value < 0 else "") + "0x" + digits


def _float(value: float) -> str:
    mantissa, exponent_mark, exponent = repr(value).partition("e")
    return mantissa + exponent_mark + str(int(exponent)) if exponent else mantissa


def _pieces(value: str) -> list[str]:
    found: list[str] = []
    for line in value.splitlines(keepends=True):
        rest = line
        while len(rest) > _PIECE:
            cut = rest.rfind(" ", 0, _PIECE) + 1
            if cut == 0:
                break
            found.append(rest[:cut])
            rest = rest[cut:]
        found.append(rest)
    return found
