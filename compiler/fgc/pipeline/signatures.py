"""The calls in a graph, checked against the signatures of their callables, which are read and never run."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Related, Severity
from fgc.diagnostics.nearest import did_you_mean, misspelt
from fgc.ir import OWN_BUILTINS, Graph, Symbol, SymbolKind
from fgc.passes import infer, verify_types
from fgc.pipeline.arguments import ArgumentCheck
from fgc.pipeline.calls import calls
from fgc.pipeline.operations import OperationCheck
from fgc.pipeline.partials import PartialCheck
from fgc.signatures import Answer, DefinitionPlace, Meaning, TypeName, Verdict
from fgc.text import Origin, Source, Span

_STRAY = ("FGC318", "FGC319", "FGC320")


class Signatures(Protocol):
    """Knows callables, and the texts that define them."""

    def look_up(self, symbol: Symbol) -> Answer: ...

    def attribute(self, owner: TypeName, name: str) -> Answer: ...

    def meaning(self, home: str, name: str) -> Meaning: ...

    def definition(self, path: str) -> Source | None: ...

    def similar_package(self, name: str) -> str | None: ...

    def modules_in(self, package: str) -> Sequence[str]: ...

    def longest_module(self, name: str) -> str | None: ...


def check_calls(graph: Graph, files: Signatures, told: Iterable[Diagnostic] = ()) -> list[Diagnostic]:
    """Returns what Python would refuse in the calls of a program. What a build-time call receives is its own matter.

    `told` are the findings so far: a text that looks like a number is one mistake, not two, and a callable that cannot
    be read is looked up nowhere.
    """
    found: list[Diagnostic] = []
    before = list(told)
    blamed = {finding.span for finding in before if finding.code != "FGC321"}  # those are joined with what they cause
    unreadable = {finding.span for finding in before if finding.severity is Severity.ERROR}
    types = infer(graph, files)
    verify_types(graph, types)
    for node_id, node in calls(graph):
        symbol = node.callee
        if symbol.origin.span in unreadable:
            continue
        is_partial = graph.is_partial or node_id in graph.broken
        if not is_partial:
            found += OperationCheck(graph, node, types, files).findings()
        partials = PartialCheck(graph, node, lambda callee: files.look_up(callee).signatures)
        if symbol.kind is SymbolKind.COMPONENT or (
            symbol.kind is SymbolKind.BUILTIN and symbol.attribute in OWN_BUILTINS
        ):
            found += partials.findings(())
            continue
        answer = files.look_up(symbol)
        problems = [*_of_name(symbol, answer, files), *partials.findings(answer.signatures)]
        arguments = ArgumentCheck(graph, node_id, node, symbol.attribute, types, files, is_partial)
        problems += arguments.findings(answer.signatures)
        found += _with_definition(problems, answer.place, symbol, files)
    return [finding for finding in found if finding.span not in blamed and not _is_explained(finding, before)]


def _is_explained(finding: Diagnostic, told: Iterable[Diagnostic]) -> bool:
    """Returns True for a text that does not fit, in which a stray character is told."""
    if finding.code != "FGC508":
        return False
    span = finding.span
    return any(
        other.code in _STRAY and other.span.source is span.source and span.start <= other.span.start < span.end
        for other in told
    )


def _of_name(symbol: Symbol, answer: Answer, files: Signatures) -> Iterator[Diagnostic]:
    match answer.verdict:
        case Verdict.NOT_INSTALLED:
            similar = files.similar_package(answer.wrong)
            if similar is not None:  # else it may be installed where the program runs
                message = f"the package `{answer.wrong}` is not installed"
                help = f"did you mean `{similar}`?"
                origin = _part(symbol, answer.wrong)
                yield Diagnostic.at(origin, "FGC505", message, severity=Severity.WARNING, help=help)
        case Verdict.NO_MODULE:
            message = f"there is no module `{answer.wrong}`"
            yield Diagnostic.at(_part(symbol, answer.wrong), "FGC504", message, help=_nearest_module(answer, files))
        case Verdict.NO_FILE:
            nearest = _nearest_module(answer, files)
            if nearest is not None:  # else its package may make it
                message = f"no file contains the module `{answer.wrong}`"
                origin = _part(symbol, answer.wrong)
                yield Diagnostic.at(origin, "FGC504", message, severity=Severity.WARNING, help=nearest)
        case Verdict.NO_ATTRIBUTE if symbol.kind is not SymbolKind.BUILTIN:
            message = f"`{_owner(symbol, answer.wrong)}` has no attribute `{answer.wrong}`"
            yield Diagnostic.at(_attribute(symbol, answer.wrong), "FGC504", message, help=_nearest(answer))
        case Verdict.UNKNOWN if answer.wrong and symbol.kind is SymbolKind.MODULE:
            yield from _of_open_name(symbol, answer, files)
        case Verdict.NOT_CALLABLE:
            message = f"`{symbol.text}` is {answer.wrong} and cannot be called"
            yield Diagnostic.at(symbol.attribute_origin, "FGC509", message)
        case _:
            pass
    if answer.deprecated is not None:
        message = f"`{symbol.attribute}` is deprecated"
        origin, said = symbol.attribute_origin, answer.deprecated or None
        yield Diagnostic.at(origin, "FGC510", message, severity=Severity.WARNING, help=said)


def _nearest_module(answer: Answer, files: Signatures) -> str | None:
    package, _, name = answer.wrong.rpartition(".")
    return did_you_mean(name, files.modules_in(package))


def _of_open_name(symbol: Symbol, answer: Answer, files: Signatures) -> Iterator[Diagnostic]:
    """Yields a warning for a name that its module may make at run time, and that looks like a slip of another one."""
    package, name = _owner(symbol, answer.wrong), answer.wrong
    near = next(iter(answer.names), None) or misspelt(name, files.modules_in(package))
    if near is not None and near.casefold() != name.casefold():  # `SUM` beside `sum`: both may be
        message = f"`{package}` contains no `{name}`"
        origin = _attribute(symbol, name)
        help = f"did you mean `{near}`?"
        yield Diagnostic.at(origin, "FGC504", message, severity=Severity.WARNING, help=help)


def _nearest(answer: Answer) -> str | None:
    return did_you_mean(answer.wrong.rpartition(".")[2], answer.names)


def _owner(symbol: Symbol, wrong: str) -> str:
    parts = symbol.attribute.split(".")
    before = parts[: parts.index(wrong)] if wrong in parts else []
    return ".".join([symbol.container, *before]) if symbol.kind is SymbolKind.MODULE else symbol.text.rpartition(":")[0]


def _attribute(symbol: Symbol, name: str) -> Origin:
    """The place of one part of a dotted attribute."""
    origin = symbol.attribute_origin
    parts = symbol.attribute.split(".")
    if origin.span.text != symbol.attribute or name not in parts:
        return origin
    start = sum(len(part) + 1 for part in parts[: parts.index(name)])
    return replace(origin, span=origin.span.at(start, start + len(name)))


def _part(symbol: Symbol, module: str) -> Origin:
    """The place of the last part of a module's dotted name."""
    origin = symbol.origin
    if origin.span.text != symbol.text or not symbol.container.startswith(module):
        return origin
    start = module.rfind(".") + 1
    return replace(origin, span=origin.span.at(start, len(module)))


def _with_definition(
    problems: Sequence[Diagnostic], place: DefinitionPlace | None, symbol: Symbol, files: Signatures
) -> list[Diagnostic]:
    if not problems or place is None:
        return list(problems)
    source = files.definition(place.path)
    if source is None or place.line > len(source.line_starts):
        return list(problems)
    start = source.line_starts[place.line - 1] + place.column - 1
    name = symbol.attribute.rpartition(".")[2]
    related = Related(Span(source, start, start + place.length), f"`{name}` is defined here")
    return [replace(problem, related=(related, *problem.related)) for problem in problems]
