"""Anchors that nobody mentions and that look like a misspelt alias."""

from collections.abc import Iterator

from fgc.diagnostics import Diagnostic, Related, Severity, nearest
from fgc.ir import Graph
from fgc.lint.rules import rule
from fgc.yaml import Composition


@rule
def unused_anchor(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC309: an anchor without alias, where some alias that has no anchor is spelt nearly alike."""
    undefined = [name for name in composition.aliases if name not in composition.anchors]
    for name, anchor in composition.anchors.items():
        if name in composition.aliases:
            continue
        alias = nearest(name, undefined)
        if alias is None:
            continue
        related = (Related(composition.aliases[alias][0].span, f"`*{alias}` has no anchor"),)
        message = f"anchor `&{name}` is never used"
        help = f"is it the anchor that `*{alias}` means?"
        yield Diagnostic.at(anchor.origin, "FGC309", message, severity=Severity.WARNING, help=help, related=related)
