"""Renders a parsed template and its variables to one YAML text; every character keeps its origin.

Start reading at `resolve` below, then at `Renderer._template`. An example, with the templates `base.yaml` (left) and
`child.yaml` (right), and the document of `child.yaml` below:

    steps: {{ steps }}                -- extends 'base.yaml'
    [optimizer]                       -- set steps = 100
    lr: 0.1                           dropped: true
    [logging]                         [optimizer]
    log: true                         == super()
                                      host: {{ hostname }}

    steps: 100
    lr: 0.1

    host: vm
    log: true

1. Templates run from the youngest to the oldest: first `child.yaml`, then the parent that its `extends` names. They
   share one `Context`: the variables of their top levels, and for each block its definitions, youngest first.
2. A child runs for its variables only. Its `extends` closes its `Sink`, so its text outside of blocks (`dropped: true`)
   is discarded, and reported as FGC217. Its blocks are not run where they stand.
3. The oldest template has an open sink. Its text goes to the document, and where it places a block, the youngest
   definition of that block runs (`blocks`). `super()` renders the next older definition.
4. Text is a list of `Piece`s. A piece is a string with the `Span` that it was read from and the way that led there
   (includes, calls of macros). Filters and joins work on `MappedText`, a `str` that keeps its pieces (`mapped`).
5. Some values are known only where the generated program runs: `{{ hostname }}` above. Their pieces carry an
   expression beside the text of today, and the emitter writes the expression into the program. A template that looks
   into such a value gets today's text, which pins it (`needs`).
6. A mistake is reported once. The statement that fails leaves a broken piece, and the names it would have set become
   `Broken`, so that nothing that follows complains about them (`poison`).
7. After the run, checks look at all templates that ran: names that nobody defines in branches that did not run
   (`unexplained`), blocks that override nothing (`overrides`), text in no block (`dropped`), assignments that end with
   their loop (`lost`).

Invariant: nothing here parses YAML. A document is a text with a source map.
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
    """Renders a template with its parents, includes and imports. An error leaves out only what it breaks.

    `is_for_list`: skips the warnings of the checks that follow the run, if it had no error.
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
    """Returns True if any template on the search path reads a name, even one that no configuration uses."""
    files = loader.mentioning(name)
    return any(name in usage_of(template).reads for file in files for template in (file.main, *file.parts))
