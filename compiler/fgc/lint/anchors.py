"""Anchors that nobody mentions and that look like a misspelt alias."""

from collections.abc import Iterator

from fgc.diagnostics import Diagnostic, Related, Severity, misspelt
from fgc.ir import Graph
from fgc.lint.rules import rule
from fgc.yaml import Composition


@rule
def unused_anchor(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC309: an anchor without alias that is nearly spelt as an alias is, which then means another anchor.

    An alias without any anchor is a finding of its own (FGC302), which names the nearest.
    """
    for name, anchor in [] if composition.is_partial else composition.anchors.items():
        if name in composition.aliases:
            continue
        alias = misspelt(name, (other for other in composition.aliases if other in composition.anchors))
        if alias is None:
            continue
        other = composition.anchors[alias]
        related = (
            Related(composition.aliases[alias][0].span, f"`*{alias}` is used here"),
            Related(other.origin.span, f"and means `&{alias}`"),
        )
        message = f"anchor `&{name}` is never used"
        help = f"is it the anchor that `*{alias}` means? If not, drop it"
        yield Diagnostic.at(anchor.origin, "FGC309", message, severity=Severity.WARNING, help=help, related=related)
