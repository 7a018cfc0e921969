"""Reads the arguments of a call from the node below its tag."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Protocol

from msgspec import Struct, field

from fgc.diagnostics import Diagnostic, Related
from fgc.ir import Keyword, NodeId, Scalar
from fgc.lower.pairs import Pair
from fgc.patterns import regex
from fgc.text import Origin
from fgc.yaml import AliasNode, MappingNode, Node, ScalarNode, SequenceNode

_KINDS = {"bool": "a boolean", "NoneType": "a null", "int": "an integer"}
_ARGUMENT_NUMBER = regex(r"arg(\d+)")


class CallArguments(Struct):
    """Positional and keyword arguments, and the reserved ones: the search path and latent arguments."""

    positional: list[NodeId] = field(default_factory=list)
    keywords: list[Keyword] = field(default_factory=list)
    searchpath: NodeId | None = None
    latent: NodeId | None = None


class Lowering(Protocol):
    """Gives what reading arguments needs of the stage."""

    def lower(self, node: Node, hint: str | None = None) -> NodeId: ...
    def items(self, node: SequenceNode) -> tuple[NodeId, ...]: ...
    def pairs(self, node: MappingNode) -> list[Pair]: ...
    def scalar(self, node: ScalarNode) -> Scalar: ...
    def report(self, diagnostic: Diagnostic) -> None: ...
    def error(self, origin: Origin, code: str, message: str, help: str | None = None) -> None: ...


class ArgumentReader:
    """Reads arguments by language.md, section 7."""

    def __init__(self, lowering: Lowering) -> None:
        self._lowering = lowering

    def read(self, node: ScalarNode | SequenceNode | MappingNode) -> CallArguments:
        """Returns the arguments: positional from a sequence or a scalar, by name from a mapping."""
        match node:
            case SequenceNode():
                return CallArguments(list(self._lowering.items(node)))
            case ScalarNode():
                return self._scalar(node)
            case MappingNode():
                return self._mapping(node)

    def _scalar(self, node: ScalarNode) -> CallArguments:
        if node.value == "" and node.is_plain:
            return CallArguments()
        plain = ScalarNode(
            node.value, node.is_plain, node.origin, parts=node.parts, argument=node.argument, forms=node.forms
        )
        return CallArguments([self._lowering.lower(plain)])

    def _mapping(self, node: MappingNode) -> CallArguments:
        pairs = self._lowering.pairs(node)
        arguments = CallArguments()
        rest = []
        for pair in pairs:
            if pair.key == "submodule_searchpath":
                arguments.searchpath = self._lowering.lower(pair.value)
            elif pair.key == "latent_args":
                arguments.latent = self._lowering.lower(pair.value)
            else:
                rest.append(pair)
        if (
            rest
            and not node.is_broken
            and all(pair.key in ("args", "kwargs") and not self._is_null(pair.value) for pair in rest)
        ):
            self._spread(rest, arguments)
        else:
            self._by_name(rest, arguments)
        return arguments

    def _is_null(self, node: Node) -> bool:
        target = node.target if isinstance(node, AliasNode) else node
        return isinstance(target, ScalarNode) and target.tag is None and self._lowering.scalar(target) is None

    def _spread(self, pairs: Iterable[Pair], arguments: CallArguments) -> None:
        """`args` and `kwargs` alone: the arguments themselves."""
        for pair in pairs:
            target = pair.value.target if isinstance(pair.value, AliasNode) else pair.value
            is_plain = target is not None and not isinstance(target, AliasNode) and target.tag is None
            if pair.key == "args" and is_plain and isinstance(target, SequenceNode):
                arguments.positional = list(self._lowering.items(target))
            elif pair.key == "kwargs" and is_plain and isinstance(target, MappingNode):
                arguments.keywords = self.keywords(self._lowering.pairs(target))
            elif target is not None and not target.is_broken:
                wanted = "a sequence" if pair.key == "args" else "a mapping"
                help = "`args` is for positional arguments, `kwargs` for keywords; other keys are ordinary arguments"
                self._lowering.error(pair.value.origin, "FGC405", f"`{pair.key}` must be {wanted}", help)
                if pair.key == "args" and is_plain and isinstance(target, MappingNode):
                    arguments.positional = [self._lowering.lower(key) for key, _ in target.pairs]

    def _by_name(self, pairs: Iterable[Pair], arguments: CallArguments) -> None:
        numbered: list[tuple[int, Pair]] = []
        named = []
        for pair in pairs:
            number = _ARGUMENT_NUMBER.fullmatch(pair.key) if isinstance(pair.key, str) else None
            if number:
                numbered.append((int(number[1]), pair))
            else:
                named.append(pair)
        numbered.sort(key=lambda item: (item[0], self._text(item[1].value)))
        for (first_number, earlier), (second_number, pair) in pairwise(numbered):
            if first_number == second_number:
                self._same_number(first_number, earlier, pair)
        arguments.positional = [self._lowering.lower(pair.value) for _, pair in numbered]
        arguments.keywords = self.keywords(named)

    def _text(self, node: Node) -> str:
        """Returns a key that orders two arguments with one number, which is an error anyway."""
        return node.value if isinstance(node, ScalarNode) else ""

    def _same_number(self, number: int, earlier: Pair, pair: Pair) -> None:
        message = f"positional argument {number} is given twice: as `{earlier.key}` and as `{pair.key}`"
        related = (Related(earlier.origin.span, "the first one is here"),)
        help = "give each argument its own number"
        self._lowering.report(Diagnostic.at(pair.origin, "FGC407", message, help=help, related=related))

    def keywords(self, pairs: Iterable[Pair]) -> list[Keyword]:
        """Pairs as keyword arguments, whose names must be texts."""
        keywords = []
        for pair in pairs:
            if isinstance(pair.key, str):
                keywords.append(Keyword(pair.key, self._lowering.lower(pair.value, pair.key), pair.origin))
            else:
                help = f'put it in quotes: `"{str(pair.key).lower()}"`' if pair.key is not None else "give it a name"
                kind = _KINDS.get(type(pair.key).__name__, "a number")
                message = f"a keyword must be a text, and `{str(pair.key).lower()}` is {kind}"
                self._lowering.error(pair.origin, "FGC406", message, help)
        return keywords
