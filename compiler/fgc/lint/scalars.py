"""Scalars that YAML 1.1 reads differently from what they look like."""

import re
from collections.abc import Iterator

from fgc.diagnostics import Diagnostic, Edit, Severity
from fgc.ir import Graph
from fgc.lint.prints import values_printed
from fgc.lint.rules import rule
from fgc.patterns import regex
from fgc.yaml import AliasNode, Composition, MappingNode, Node, ScalarNode, SequenceNode, scalar_type, scalar_value

_EXPONENT = regex(r"[-+]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)[eE][-+]?\d+")
_NEW_OCTAL = regex(r"[-+]?0[oO][0-7_]+")
_NOT_FINITE = regex(r"([-+]?)(inf(?:inity)?|nan)", re.IGNORECASE)
_OCTAL = regex(r"[-+]?0\d+")
_SEXAGESIMAL = regex(r"[-+]?\d+(?::[0-5]?\d)+(?:\.\d*)?")
_LONGEST = 1_000  # of a scalar that anybody misreads
_COMMA = regex(r"[-+]?\d+,\d+")
_COMMAS = regex(r"[-+]?(?:\d++(?:\.\d++)?|\.\d++)(?:,\s*+[-+]?(?:\d++(?:\.\d++)?|\.\d++))+")
_HOLDS_MANY = regex(
    r"(?:\b|_)(?:(?:device|gpu|cpu|core|rank|node|layer|id|dim|port)s?|index|indices|axis|axes|shape)(?:\b|_)",
    re.IGNORECASE,
)
_TRUE_AND_FALSE = {
    **dict.fromkeys(("tru", "ture", "treu", "truee", "ttrue", "trrue", "truue", "ytue"), "true"),
    **dict.fromkeys(
        ("fals", "flase", "fasle", "falsee", "fales", "flse", "ffalse", "faalse", "fallse", "falsse"), "false"
    ),
}
_PYTHON_WORDS = {"None": "null"}


@rule
def misread_scalar(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC310: `1e-3`, `inf`, `0o17` and `None` are texts, `010` is 8, `1:30` is 90."""
    elsewhere = values_printed(composition.document)
    for node in _scalars(composition.root):
        if node.origin.span in elsewhere:
            continue
        if _COMMA.fullmatch(node.value) and _may_be_list(node):
            continue
        if node.is_plain and node.tag is None and node.parts is None and (found := _misread(node.value)):
            message, help, better = found
            fix = Edit(node.origin.span, better) if better and node.origin.span.text == node.value else None
            yield Diagnostic.at(node.origin, "FGC310", message, severity=Severity.WARNING, help=help, fix=fix)


def _may_be_list(node: ScalarNode) -> bool:
    """Returns True for `CUDA_VISIBLE_DEVICES: 0,1`, where the key says that a value is several numbers."""
    first = node.origin.span.first
    return _HOLDS_MANY.search(node.origin.span.source.line(first.line)[: first.column - 1]) is not None


def _misread(text: str) -> tuple[str, str, str | None] | None:
    """Returns the message, the help and the exact replacement for a scalar that YAML reads as another type."""
    if len(text) > _LONGEST:
        return None
    kind = scalar_type(text, True)
    if kind == "str":
        what, better = _meant(text)
        message = f"`{text}` is a text in YAML 1.1, not {what}"
        return (message, f"write `{better}`, or quotes for the text", better) if better else None
    if kind == "int" and (_OCTAL.fullmatch(text) and len(text.lstrip("+-0")) > 0):
        value = scalar_value(text, "int")
        return f"`{text}` is the octal number {value} in YAML 1.1", "drop the leading zero, or quotes for a text", None
    if kind in ("int", "float") and _SEXAGESIMAL.fullmatch(text):
        value = scalar_value(text, kind)
        return f"`{text}` is the base-60 number {value} in YAML 1.1", "put it in quotes to make it a text", None
    return None


def _meant(text: str) -> tuple[str, str]:
    """Returns the type that a text looks like, and how YAML 1.1 writes it; empty if it looks like a text."""
    if _EXPONENT.fullmatch(text):
        return "a number", _with_dot(text)
    if _NEW_OCTAL.fullmatch(text):
        return "an octal number", str(int(text, 8))
    if text in _PYTHON_WORDS:
        return "a null", _PYTHON_WORDS[text]
    if text.lower() in _TRUE_AND_FALSE and text in (text.lower(), text.capitalize(), text.upper()):
        return "a truth value", _TRUE_AND_FALSE[text.lower()]
    if _COMMA.fullmatch(text) and text[-4:-3] != ",":
        return "a number", text.replace(",", ".")
    if _COMMAS.fullmatch(text) and "." in text:
        return "a list", f"[{text}]"
    if match := _NOT_FINITE.fullmatch(text):
        is_nan = match[2].lower() == "nan"
        return "a number", ".nan" if is_nan else f"{match[1].replace('+', '')}.inf"
    return "", ""


def _with_dot(text: str) -> str:
    mantissa, _, exponent = text.lower().partition("e")
    mantissa = mantissa if "." in mantissa else mantissa + ".0"
    mantissa = f"{mantissa.partition('.')[0] or '0'}.{mantissa.partition('.')[2] or '0'}"
    return f"{mantissa}e{exponent if exponent[0] in '+-' else '+' + exponent}"


def _scalars(root: Node | None) -> Iterator[ScalarNode]:
    stack = [root]
    while stack:
        node = stack.pop()
        match node:
            case ScalarNode():
                yield node
            case SequenceNode():
                stack += reversed(node.items)
            case MappingNode():
                stack += [value for _, value in reversed(node.pairs)]
            case AliasNode() | None:
                pass
