"""Texts that people wrote, places in them, and documents whose every character knows its place.

Knows nothing of the language: sources, spans and segments only.
"""

from fgc.text.deferred import (
    DeferredArgument,
    DeferredCall,
    DeferredExpression,
    DeferredFolder,
    DeferredName,
    Need,
    expression_text,
)
from fgc.text.document import Document, Origin, Piece, Printed, Segment
from fgc.text.source import Position, Source, Span

__all__ = [
    "DeferredArgument",
    "DeferredCall",
    "DeferredExpression",
    "DeferredFolder",
    "DeferredName",
    "Document",
    "Need",
    "Origin",
    "Piece",
    "Position",
    "Printed",
    "Segment",
    "Source",
    "Span",
    "expression_text",
]
