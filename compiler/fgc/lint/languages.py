"""`no` among codes of languages or countries: YAML 1.1 reads Norwegian, and Norway, as false."""

from collections.abc import Iterable, Iterator

from fgc.diagnostics import Diagnostic, Edit, Severity
from fgc.ir import Graph
from fgc.lint.rules import rule
from fgc.yaml import Composition, MappingNode, Node, ScalarNode, SequenceNode, scalar_type

_CODES = (
    "aa ab af ak am ar as az be bg bh bn bo br bs ca cs cy da de dz el en eo es et eu fa fi fj fo fr fy ga gd gl gn gu "
    "ha he hi hr hu hy ia id ie is it ja jv ka kk kl km kn ko ku ky la lb lo lt lv mg mi mk ml mn mr ms mt my nb ne nl "
    "nn no oc om or pa pl ps pt qu rm rn ro ru rw sa sd sg si sk sl sm sn so sq sr st su sv sw ta te tg th ti tk tl tn "
    "to tr ts tt tw ug uk ur uz vi vo wo xh yi yo zh zu us gb se dk fi at ch au ca ie nz be"
)
_LANGUAGES = frozenset(_CODES.split())
_NO = ("no", "No", "NO")
_KEYS = ("lang", "locale", "country")  # what a key of one such code has in its name


@rule
def norwegian(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC310: `no` where its neighbours are codes, or under a key such as `language`."""
    if not any(isinstance(place.node, ScalarNode) and _is_no(place.node) for place in composition.places):
        return
    for place in composition.places:
        if isinstance(place.node, SequenceNode):
            yield from _among(place.node.items)
        elif isinstance(place.node, MappingNode):
            yield from _among([key for key, _ in place.node.pairs])
            for key, value in place.node.pairs:
                is_code = isinstance(key, ScalarNode) and any(part in key.value.lower() for part in _KEYS)
                if is_code and _is_no(value):
                    yield _finding(value)


def _among(nodes: list[Node]) -> Iterable[Diagnostic]:
    found = [node for node in nodes if _is_no(node)]
    others = [node for node in nodes if not _is_no(node)]
    if found and others and all(_is_code(node) for node in others):
        return [_finding(node) for node in found]
    return ()


def _is_no(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.value in _NO and node.is_plain and node.tag is None


def _is_code(node: Node) -> bool:
    return (
        isinstance(node, ScalarNode)
        and node.value.lower() in _LANGUAGES
        and scalar_type(node.value, node.is_plain) == "str"
    )


def _finding(node: Node) -> Diagnostic:
    assert isinstance(node, ScalarNode), "only a scalar is `no`"
    better = f'"{node.value}"'
    fix = Edit(node.origin.span, better) if node.origin.span.text == node.value else None
    message = f"`{node.value}` is false in YAML 1.1, not a text like the other codes"
    return Diagnostic.at(
        node.origin, "FGC310", message, severity=Severity.WARNING, help=f"put it in quotes: `{better}`", fix=fix
    )
