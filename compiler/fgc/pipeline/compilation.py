"""One configuration, compiled as far as it goes: every stage's result and all that was found."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Outcome, Severity, has_errors, unique, without_consequences
from fgc.ir import Graph
from fgc.lower import lower
from fgc.pipeline.coverage import Coverage
from fgc.pipeline.dotted import divide_callables
from fgc.pipeline.imports import Projects, graft
from fgc.pipeline.memory import MAX_GROWTH_BYTES, bounded_memory
from fgc.pipeline.sweeps import sweep_request
from fgc.resolve import Facts, Loader, reads_elsewhere, resolve
from fgc.syntax import ast
from fgc.text import Document, Need, Source, Span
from fgc.yaml import Composition, compose

if TYPE_CHECKING:
    from fgc.pipeline.models import ModelFiles

_LEAVES_THE_GRAPH = ("FGC204", "FGC404")  # a block that overrides nothing, a name given twice: errors beside the graph


class Compilation(Struct, frozen=True):
    """What the stages made of a configuration. A stage's result may be partial; then a diagnostic says why.

    `needs`: what could have stayed open until the program runs, and had to be known. `is_whole`: no error kept a part
    of the graph from being made. `coverage`: which calls were compared with signatures.
    """

    entry: Source
    document: Document
    composition: Composition
    graph: Graph
    sources: tuple[Source, ...]
    diagnostics: tuple[Diagnostic, ...]
    needs: tuple[Need, ...] = ()
    is_whole: bool = True
    coverage: Coverage = Coverage()

    @property
    def has_errors(self) -> bool:
        return has_errors(self.diagnostics)


def compile_template(
    entry: Outcome[ast.ParsedFile],
    loader: Loader,
    variables: Mapping[str, Any],
    facts: Facts,
    *,
    files: "ModelFiles | None" = None,
    projects: Projects | None = None,
    is_own: Callable[[Source], bool] = lambda source: True,
    change: Callable[[Composition], object] | None = None,
    is_for_list: bool = False,
) -> Compilation:
    """Run every stage on a parsed file. Errors of one stage do not stop the next.

    `is_own`: whether a template belongs to a project that is compiled, so that its user can mend it. `change` may set
    values before they become a graph. `is_for_list`: leave out findings about a graph that is whole.
    """
    resolved = _resolved(entry.value, loader, variables, facts, is_for_list)
    document = resolved.value
    composed = compose(document)
    if change is not None:
        change(composed.value)
    lowered = lower(composed.value, document.locate(0))
    of_templates = _left_to_authors(resolved.diagnostics, is_own)
    found = [*entry.diagnostics, *of_templates, *composed.diagnostics, *lowered.diagnostics]
    is_whole = not has_errors(finding for finding in found if finding.code not in _LEAVES_THE_GRAPH)
    needs = (*document.needs, *composed.value.needs)
    if not (is_for_list and is_whole):
        undefined = {finding.span.text for finding in of_templates if finding.code == "FGC203"}
        found += _lint(composed.value, lowered.value, needs, loader, undefined)
    divided = Outcome(lowered.value) if files is None else divide_callables(lowered.value, files)
    whole = graft(divided.value, projects)
    found += [*divided.diagnostics, *whole.diagnostics]
    graph = whole.value.graph
    called = Coverage()
    if files is not None:
        found += _found_in_python(graph, files, found)
        called = _called(graph, files)
    used = {segment.piece.origin.span.source: None for segment in document.segments}
    diagnostics = tuple(without_consequences(unique(found)))
    sources = dict.fromkeys([entry.value.main.source, *used])
    needs = (*needs, *whole.value.needs)
    return Compilation(
        entry.value.main.source, document, composed.value, graph, tuple(sources), diagnostics, needs, is_whole, called
    )


def _resolved(
    entry: ast.ParsedFile, loader: Loader, variables: Mapping[str, Any], facts: Facts, is_for_list: bool
) -> Outcome[Document]:
    """Resolves within a bound of memory."""
    try:
        with bounded_memory():
            return resolve(entry, loader, variables, facts, is_for_list=is_for_list)
    except MemoryError:
        source = entry.main.source
        message = f"templates take more than {MAX_GROWTH_BYTES // 1_000_000:,} MB of memory"
        finding = Diagnostic("FGC208", message, Span(source, 0, 0), help="compute large values in the program")
        return Outcome(Document.of((), source), (finding,))


def _lint(
    composition: Composition, graph: Graph, needs: Iterable[Need], loader: Loader, undefined: Collection[str]
) -> Iterable[Diagnostic]:
    """Returns the findings of the rules that read the document and the graph; `undefined` names are told already."""
    from fgc.lint import check  # a listing asks for no findings: 0.03 s
    from fgc.pipeline.dynamic import dynamic_arguments, idle_defaults, unread_options
    from fgc.pipeline.pins import pin_findings

    yield from check(composition, graph)
    yield from pin_findings(needs)
    options = dynamic_arguments(graph)
    yield from options.diagnostics
    yield from sweep_request(graph).diagnostics
    asked = composition.document.asked
    if asked is not None:
        yield from unread_options(options.value, asked, partial(reads_elsewhere, loader))
        yield from idle_defaults(options.value, asked, undefined)


def _left_to_authors(found: Iterable[Diagnostic], is_own: Callable[[Source], bool]) -> list[Diagnostic]:
    """Makes an override of nothing in a library a warning: its author must see it, its user cannot mend it."""
    return [
        replace(finding, severity=Severity.WARNING)
        if finding.code == "FGC204" and not is_own(finding.span.source)
        else finding
        for finding in found
    ]


def _called(graph: Graph, files: "ModelFiles") -> Coverage:
    """Returns which calls could be compared with signatures."""
    from fgc.pipeline.calls import coverage  # what reads Python

    return coverage(graph, files)


def _found_in_python(graph: Graph, files: "ModelFiles", found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Returns what the Python files that a configuration names have against it."""
    from fgc.pipeline.models import check_models  # what reads Python: 0.06 s, and a listing needs none
    from fgc.pipeline.name_patterns import check_patterns
    from fgc.pipeline.program_checks import check_program
    from fgc.pipeline.signatures import check_calls
    from fgc.pipeline.strategies import check_strategies

    models = check_models(graph, files)
    of_program = [*models.diagnostics, *check_program(graph, files), *check_strategies(graph)]
    of_program += check_patterns(graph, models.value)
    return [*of_program, *check_calls(graph, files, (*found, *of_program))]
