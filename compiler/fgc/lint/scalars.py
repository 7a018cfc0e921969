"""Scalars that YAML 1.1 reads differently from what they look like."""

import re
from collections.abc import Iterator

from fgc.diagnostics import Diagnostic, Severity
from fgc.ir import Graph
from fgc.lint.prints import values_printed
from fgc.lint.rules import rule
from fgc.yaml import AliasNode, Composition, MappingNode, Node, ScalarNode, SequenceNode, scalar_type, scalar_value

_EXPONENT = re.compile(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+")
_OCTAL = re.compile(r"[-+]?0\d+")
_SEXAGESIMAL = re.compile(r"[-+]?\d+(?::[0-5]?\d)+(?:\.\d*)?")
_PYTHON_WORDS = {"None": "null"}


@rule
def misread_scalar(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC310: `1e-3` is a text, `010` is 8, `1:30` is 90, `None` is a text."""
    elsewhere = values_printed(composition.document)
    for node in _scalars(composition.root):
        if node.origin.span in elsewhere:
            continue
        if node.is_plain and node.tag is None and (found := _misread(node)):
            message, help = found
            yield Diagnostic.at(node.origin, "FGC310", message, severity=Severity.WARNING, help=help)


def _misread(node: ScalarNode) -> tuple[str, str] | None:
    text = node.value
    kind = scalar_type(text, True)
    if kind == "str" and _EXPONENT.fullmatch(text):
        return f"`{text}` is a text in YAML 1.1, not a number", f"write `{_with_dot(text)}`, or quotes for the text"
    if kind == "str" and text in _PYTHON_WORDS:
        return f"`{text}` is a text in YAML, not a null", "write `null`, or quotes for the text"
    if kind == "int" and (_OCTAL.fullmatch(text) and len(text.lstrip("+-0")) > 0):
        value = scalar_value(text, "int")
        return f"`{text}` is the octal number {value} in YAML 1.1", "drop the leading zero, or quotes for a text"
    if kind in ("int", "float") and _SEXAGESIMAL.fullmatch(text):
        value = scalar_value(text, kind)
        return f"`{text}` is the base-60 number {value} in YAML 1.1", "put it in quotes to make it a text"
    return None


def _with_dot(text: str) -> str:
    mantissa, _, exponent = text.lower().partition("e")
    mantissa = mantissa if "." in mantissa else mantissa + ".0"
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
