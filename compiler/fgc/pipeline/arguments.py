"""The arguments of one call, compared with a signature: what Python would refuse, and surely so."""

from collections.abc import Container, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Related, Severity
from fgc.diagnostics.nearest import did_you_mean, misspelt, nearest
from fgc.ir import Call, CallKind, Graph, Keyword, Literal, Node, NodeId
from fgc.patterns import regex
from fgc.pipeline.fitting import Fitting, NameMeanings
from fgc.pipeline.replaced_blocks import replaced_block
from fgc.signatures import Parameter, Signature, TypeName
from fgc.text import Origin

_EXPONENT = regex(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+")
_MAX_LISTED = 12  # parameters that a help line names; TrainingArguments of transformers has 110


class ArgumentCheck(Struct, frozen=True):
    """A call, how its callee is shown, and the types of values as far as they are known.

    `is_partial`: a mistake may have kept some of its arguments from being.
    """

    graph: Graph
    node_id: NodeId
    call: Call
    shown: str
    types: Mapping[NodeId, Sequence[TypeName]]
    names: NameMeanings | None = None
    is_partial: bool = False

    def findings(self, signatures: Sequence[Signature]) -> list[Diagnostic]:
        """Returns what is wrong. Of several overloads one must fit; if none does, what is wrong with the nearest."""
        every = {name for signature in signatures for name in signature.keyword_names}
        besides = every if len(signatures) > 1 else set()  # a keyword of another overload is left to the library
        found = {signature: [*self._with(signature, besides)] for signature in signatures}
        if len(found) < 2 or not all(found.values()):
            return [] if not all(found.values()) else [item for items in found.values() for item in items]
        if not any(signature.takes_any_keyword for signature in found):
            names = [name for signature in found for name in signature.keyword_names]
            unknown = [self._unknown(keyword, names) for keyword in self.call.keywords if keyword.name not in names]
            if unknown:
                return unknown
        return found[min(found, key=lambda signature: (len(found[signature]), *self._distance(signature)))]

    def _distance(self, signature: Signature) -> tuple[int, int]:
        return len(self._missing_names(signature)), abs(len(signature.positional) - len(self.call.positional))

    def _with(self, signature: Signature, besides: Container[str]) -> Iterator[Diagnostic]:
        if not signature.takes_any_keyword:
            for keyword in self.call.keywords:
                if keyword.name not in signature.keyword_names and keyword.name not in besides:
                    nameless = [slot.name for slot in signature.positional]
                    is_dropped = signature.drops_unknown and not self._lacks(signature, keyword)
                    unknown = self._unknown(keyword, signature.keyword_names, nameless, is_dropped)
                    yield self._with_needed(unknown, keyword, signature)
        else:
            yield from self._slips(signature)
        yield from self._positionals(signature)
        if not self._has_odd_name(signature):  # what is wrong with that says what is missing
            yield from self._missing(signature)
        yield from self._wrong_types(signature)

    def _slips(self, signature: Signature) -> Iterator[Diagnostic]:
        """Keywords of a callable that takes any, which look like slips of parameters that are not given."""
        names = [name for name in signature.keyword_names if name not in self._given_names]
        for keyword in self.call.keywords:
            if keyword.name not in signature.keyword_names and (meant := misspelt(keyword.name, names)) is not None:
                message = f"`{self.shown}` takes any keyword but never names `{keyword.name}`"
                help = f"did you mean `{meant}`?"
                yield Diagnostic.at(keyword.origin, "FGC501", message, severity=Severity.WARNING, help=help)

    def _unknown(
        self, keyword: Keyword, names: Sequence[str], nameless: Sequence[str] = (), is_dropped: bool = False
    ) -> Diagnostic:
        names = list(dict.fromkeys(names))
        listed = ", ".join(names) if names else "none"
        if not names and nameless:
            listed = f"{', '.join(nameless)}, by position only"
        help = did_you_mean(keyword.name, names)
        if help is None and len(names) <= _MAX_LISTED:
            help = f"its parameters: {listed}"
        message = f"`{self.shown}` has no parameter `{keyword.name}`" + (" and drops it" if is_dropped else "")
        severity = Severity.WARNING if is_dropped else Severity.ERROR
        return Diagnostic.at(keyword.origin, "FGC501", message, severity=severity, help=help)

    def _lacks(self, signature: Signature, slip: Keyword) -> bool:
        """Returns True if a misspelt keyword leaves a required parameter without its argument."""
        meant = nearest(slip.name, signature.keyword_names)
        return meant in {parameter.name for parameter in signature.required if parameter.name not in self._given_names}

    @property
    def _given_names(self) -> set[str]:
        return {keyword.name for keyword in self.call.keywords}

    def _positionals(self, signature: Signature) -> Iterator[Diagnostic]:
        given, slots = self.call.positional, signature.positional
        is_counted = not any(value in self.graph.broken for value in given)  # one print may stand for many or none
        if is_counted and len(given) > len(slots) and not signature.takes_any_positional:
            message = f"`{self.shown}` takes {_count(len(slots))} by position, not {len(given)}"
            origin = self._place_of(given[len(slots)])
            yield Diagnostic.at(origin, "FGC506", message, help="pass them by name, or remove the extra ones")
        filled = {slot.name for slot in slots[: len(given)] if signature.parameter(slot.name)}
        for keyword in self.call.keywords:
            if keyword.name in filled:
                message = f"`{keyword.name}` of `{self.shown}` is given twice: by position and by name"
                yield Diagnostic.at(keyword.origin, "FGC507", message, help="leave one of them out")

    def _place_of(self, positional: NodeId) -> Origin:
        """Returns where an argument is given: of one that an alias mentions, the place of the callee."""
        is_mentioned = positional < self.node_id  # a node is numbered behind the call that it is written in
        return self.call.callee.attribute_origin if is_mentioned else self.graph[positional].origin

    def _missing(self, signature: Signature) -> Iterator[Diagnostic]:
        missing = self._missing_names(signature)
        if missing:
            message = f"`{self.shown}` needs the argument{'s' if len(missing) > 1 else ''} {_listed(missing)}"
            yield self._lost(missing[0], message)

    def _has_odd_name(self, signature: Signature) -> bool:
        """Returns True if a keyword is none of the signature's and resembles none of them."""
        if signature.takes_any_keyword:
            return False
        odd = self._given_names - set(signature.keyword_names)
        return any(nearest(name, signature.keyword_names) is None for name in odd)

    def _with_needed(self, unknown: Diagnostic, keyword: Keyword, signature: Signature) -> Diagnostic:
        """Returns the finding of a keyword that resembles no parameter with the arguments that are missing."""
        missing = self._missing_names(signature) if nearest(keyword.name, signature.keyword_names) is None else []
        if not missing:
            return unknown
        needed = f"it needs {_listed(missing)}"
        return replace(unknown, help=f"{needed}; {unknown.help}" if unknown.help else needed)

    def _missing_names(self, signature: Signature) -> list[str]:
        """Returns the required parameters without an argument, as far as a keyword does not nearly give them."""
        is_complete = self.call.kind is not CallKind.PARTIAL and self.call.latent is None and not self.is_partial
        is_dealt = signature.deals_positionals and len(self.call.positional) > len(signature.positional)
        if not is_complete or signature.is_open or is_dealt:
            return []
        filled = {slot.name for slot in signature.positional[: len(self.call.positional)]}
        filled |= {keyword.name for keyword in self.call.keywords}
        slips = self._given_names - set(signature.keyword_names)
        meant = [nearest(name, signature.keyword_names) for name in slips]
        filled |= {name for name in meant if name is not None}  # one mistake, told where it is written
        return [parameter.name for parameter in signature.required if parameter.name not in filled]

    def _lost(self, name: str, message: str) -> Diagnostic:
        """Tells of a missing argument; of a block that would have given it, where a child replaced that."""
        at, replaced = self.call.callee.attribute_origin, replaced_block(self.call, name)
        if replaced is None:
            help = "pass it, or write `!partial` if a later call passes it"
            return Diagnostic.at(at, "FGC503", message, help=help)
        related = [Related(replaced.given, f"the block `{replaced.name}` gives `{name}` here, and is replaced")]
        if replaced.instead is not None:
            related.insert(0, Related(replaced.instead, f"`{replaced.name}` is replaced here"))
        help = f"write `== super()` first in your block `{replaced.name}`: it keeps the content of the block"
        return Diagnostic.at(at, "FGC503", message, help=help, related=related)

    def _wrong_types(self, signature: Signature) -> Iterator[Diagnostic]:
        positional = zip(signature.positional, self.call.positional, strict=False)
        given = [(parameter, value, self._place_of(value)) for parameter, value in positional]
        for keyword in self.call.keywords:
            if (parameter := signature.parameter(keyword.name)) is not None:
                given.append((parameter, keyword.value, keyword.origin))
        fitting = Fitting(self.graph, self.names, self.types)
        for parameter, value, origin in given:
            for misfit in fitting.misfits(parameter, value):
                item = self.graph[misfit.node_id]
                if misfit.node_id in self.graph.broken:
                    continue
                is_made = isinstance(item, Call)
                related = (Related(item.origin.span, "it is made here"),) if is_made else ()
                place = origin if is_made and misfit.node_id == value else item.origin
                yield self._wrong_type(parameter, place, misfit.is_what, misfit.help or _help_for(item), related)

    def _wrong_type(
        self, parameter: Parameter, origin: Origin, problem: str, help: str | None, related: Sequence[Related] = ()
    ) -> Diagnostic:
        message = f"`{parameter.name}` of `{self.shown}` is `{parameter.annotation}`; this is {problem}"
        return Diagnostic.at(origin, "FGC508", message, severity=Severity.WARNING, help=help, related=related)


def _help_for(node: Node) -> str | None:
    """Returns how to write a number that became a text."""
    if not isinstance(node, Literal) or not isinstance(node.value, str) or not _is_number(node.value):
        return None
    if _EXPONENT.fullmatch(node.value):
        return f"YAML reads `{node.value}` as a text; write it with a point and a signed exponent, as in `1.0e-4`"
    return f"`{node.value}` in quotes is a text; leave them out for the number"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _count(number: int) -> str:
    return f"{number} argument" + ("" if number == 1 else "s")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
