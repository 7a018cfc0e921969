"""Finds the statements of the author's templates that set the variables in printed values.

`block_size: {{ ns.block_size }}` stands in a template of the library; its user wrote `-- set ns.block_size = 128`.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from fgc.explain.feeds import FeedFinder, FeedKind
from fgc.explain.trace import RECORD, Trace
from fgc.explain.watched import WatchedLoader
from fgc.resolve import Facts, Loader, resolve
from fgc.syntax import ast
from fgc.text import Source, Span


def setters(
    entry: ast.ParsedFile,
    loader: Loader,
    variables: Mapping[str, Any],
    facts: Facts,
    *,
    printed: Collection[Span],
    is_authors: Callable[[Source], bool],
) -> dict[Span, Span]:
    """Returns, for printed expressions, the nearest statement of the author's that set a variable in them."""
    trace = Trace()
    watched = WatchedLoader(loader, trace)
    resolve(watched.watch(entry), watched, {**variables, RECORD: trace.record}, facts)
    found: dict[Span, Span] = {}
    for span in printed:
        fed = (feed.span for feed in FeedFinder(trace, variables).feeds_at(span) if feed.kind is FeedKind.SET)
        setter = next((span for span in fed if span is not None and is_authors(span.source)), None)
        if setter is not None:
            found[span] = setter
    return found
