"""AST and variables to one YAML document, through inheritance; every character keeps its origin.

Knows nothing of YAML: a document is a text with a source map.
"""

from collections.abc import Mapping
from typing import Any

from fgc.diagnostics import Outcome, has_errors, unique
from fgc.resolve.dropped import check_dropped
from fgc.resolve.environment import make_globals
from fgc.resolve.facts import Facts
from fgc.resolve.library import Library, Loader
from fgc.resolve.lost import check_lost_sets
from fgc.resolve.renderer import Renderer
from fgc.resolve.unexplained import check_unexplained, unknown_filters
from fgc.resolve.usage import joined, usage_of
from fgc.syntax import ast
from fgc.text import Document

__all__ = ["Facts", "Loader", "reads_elsewhere", "resolve"]


def resolve(
    entry: ast.ParsedFile, loader: Loader, variables: Mapping[str, Any], facts: Facts, *, is_for_list: bool = False
) -> Outcome[Document]:
    """Render a template and all it draws on. Errors leave out what they break and no more.

    `is_for_list`: leave out warnings about what ran without an error.
    """
    library = Library(loader)
    library.add(entry)
    global_names = make_globals(facts)
    renderer = Renderer(library, global_names, entry.main)
    pieces = renderer.render(variables)
    needs, lost = renderer.evaluator.needs, renderer.lost
    if is_for_list and not has_errors((*library.diagnostics, *renderer.diagnostics)):
        filters = (finding for template in renderer.templates for finding in unknown_filters(usage_of(template)))
        found = (*library.diagnostics, *renderer.diagnostics, *filters)
        return Outcome(Document.of(pieces, entry.main.source, needs.found), unique(found))
    given = {*global_names, *variables}
    usage = joined(usage_of(template) for template in renderer.templates)
    explained = check_unexplained(usage, renderer.taken, given, library, renderer.diagnostics, lost)
    undefined = [finding.span.text for finding in renderer.diagnostics if finding.code == "FGC203"]
    lost_sets = check_lost_sets(renderer.templates, undefined)
    names = usage.reads.keys() - global_names.keys()
    asked = {name: needs.defaults.get(name, ()) for name in names} if lost.knows_reads else None
    anchors, blocks = frozenset(lost.anchors), frozenset(lost.blocks)
    document = Document.of(pieces, entry.main.source, needs.found, asked, anchors, lost.has_text, blocks)
    dropped = check_dropped(renderer.templates)
    return Outcome(document, unique([*library.diagnostics, *explained, *lost_sets, *dropped]))


def reads_elsewhere(loader: Loader, name: str) -> bool:
    """Returns True if any template of the search path reads a name, also one that a configuration does not draw on."""
    files = loader.mentioning(name)
    return any(name in usage_of(template).reads for file in files for template in (file.main, *file.parts))
