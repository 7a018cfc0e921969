"""AST and variables to one YAML document, through inheritance; every character keeps its origin.

Knows nothing of YAML: a document is a text with a source map.
"""

from collections.abc import Mapping
from typing import Any

from fgc.diagnostics import Outcome, unique
from fgc.resolve.environment import make_globals
from fgc.resolve.facts import Facts
from fgc.resolve.library import Library, Loader
from fgc.resolve.renderer import Renderer
from fgc.syntax import ast
from fgc.text import Document

__all__ = ["Facts", "Loader", "resolve"]


def resolve(entry: ast.ParsedFile, loader: Loader, variables: Mapping[str, Any], facts: Facts) -> Outcome[Document]:
    """Render a template and all it draws on. Errors leave out what they break and no more."""
    library = Library(loader)
    library.add(entry)
    renderer = Renderer(library, make_globals(facts))
    pieces = renderer.render(entry.main, variables)
    diagnostics = unique([*library.diagnostics, *renderer.diagnostics])
    return Outcome(Document.of(pieces, entry.main.source), diagnostics)
