"""Texts that people wrote, places in them, and documents whose every character knows its place.

Knows nothing of the language: sources, spans and segments only.
"""

from fgc.text.deferred import (
    TEXT,
    DeferredArgument,
    DeferredCall,
    DeferredConstant,
    DeferredExpression,
    DeferredFolder,
    DeferredName,
    DeferredOperation,
    DeferredPart,
    FromOutside,
    Need,
    arguments_in,
    expression_text,
    is_of_environment,
    is_too_long,
    need,
    results_in,
    variables_required,
)
from fgc.text.document import Document, Origin, Piece, Printed, Segment
from fgc.text.secrets import environment_name, is_secret, is_secret_variable, secret_at, secrets_of
from fgc.text.source import Position, Source, Span

__all__ = [
    "TEXT",
    "DeferredArgument",
    "DeferredCall",
    "DeferredConstant",
    "DeferredExpression",
    "DeferredFolder",
    "DeferredName",
    "DeferredOperation",
    "DeferredPart",
    "Document",
    "FromOutside",
    "Need",
    "Origin",
    "Piece",
    "Position",
    "Printed",
    "Segment",
    "Source",
    "Span",
    "arguments_in",
    "environment_name",
    "expression_text",
    "is_of_environment",
    "is_secret",
    "is_secret_variable",
    "is_too_long",
    "need",
    "results_in",
    "secret_at",
    "secrets_of",
    "variables_required",
]
