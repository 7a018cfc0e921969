"""Places in texts whose last line has no end."""

from collections.abc import Iterator
from typing import Any

import pytest
from fgc.syntax import parse
from fgc.text import Source, Span
from msgspec import Struct


def spans_in(value: Any) -> Iterator[Span]:
    if isinstance(value, Span):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from spans_in(item)
    elif isinstance(value, Struct) and not isinstance(value, Source):
        for name in value.__struct_fields__:
            yield from spans_in(getattr(value, name))


@pytest.mark.parametrize(
    "text", ["a: {{ b", "-- if", "[a]\n    x", "[a]\nx: {{b\n    c: 1\n\n[d]\ne", "x: 1\n{# c", "a\n== b"]
)
def test_no_place_lies_behind_the_text(text: str) -> None:
    outcome = parse(Source("a.yaml", text))
    spans = [*spans_in(outcome.value.main), *spans_in(outcome.diagnostics)]
    assert spans and all(0 <= span.start <= span.end <= len(text) for span in spans)
