"""Answers with findings in them, kept between runs: a text is kept as its file and its digest.

Knows nothing of what the answers are for: any record of findings and texts can be kept.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

from fgc.text import Source
from fgc.workspace.store import FileChanged, FileStore

T = TypeVar("T")


def keep_with_texts(store: FileStore, question: Sequence[object], kind: type[T], compute: Callable[[], T]) -> T:
    """Returns what `compute` gives, or gave in an earlier run; `kind` is a record of records and tuples."""
    kept = store.questions.keep(question, kind, lambda: _with_texts(compute(), _without_text))
    try:
        return _with_texts(kept, store.text_again)
    except FileChanged:  # between the look at its digest and the look at its text
        return compute()


def _without_text(source: Source) -> Source:
    return source if source.digest is None else Source(source.name, "", source.path, source.digest)


def _with_texts(value: T, change: Callable[[Source], Source]) -> T:
    """Returns a value with every text in it changed."""
    if isinstance(value, Source):
        return cast(T, change(value))
    if isinstance(value, tuple):
        return cast(T, tuple(_with_texts(item, change) for item in value))
    if isinstance(value, Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        changed = {name: _with_texts(item, change) for name, item in fields.items()}
        return replace(value, **{name: item for name, item in changed.items() if item is not fields[name]})
    return value
