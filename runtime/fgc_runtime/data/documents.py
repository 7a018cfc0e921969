"""Makes a document from a row of a table: one column, a text with several, or the result of a function."""

import json
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from string import Formatter
from typing import Any

Row = Mapping[str, Any]
Document = str | Callable[[Row], Any]


class Choice:
    """The way a document is made from each row. `document`, if given, replaces `column`.

    A text with column names in braces, such as `"Q: {question} A: {answer}"`, is filled in; an empty column leaves its
    place empty. A function gets the row, a mapping, and returns a text, a list of messages, or None to skip the row.
    """

    def __init__(self, column: str, document: Document | None = None) -> None:
        self.column = column
        self._document = document
        self.names: list[str] | None = [column]  # of needed columns; None: all
        if isinstance(document, str):
            self.names = [name for _, name, _, _ in Formatter().parse(document) if name is not None]
            if not self.names or not all(self.names):
                raise ValueError(f"document ({document!r}) must name columns in braces, such as {{question}}")
        elif document is not None:
            self.names = None

    @property
    def key(self) -> str:
        """Returns a text that identifies the choice: the column, the text, or the function's name and arguments."""
        document = self._document
        if document is None or isinstance(document, str):
            return self.column if document is None else f"document {document}"
        given = [document.args, sorted(document.keywords.items())] if isinstance(document, partial) else []
        function = document.func if isinstance(document, partial) else document
        name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"
        return json.dumps([name, given], default=repr)

    def require(self, found: Sequence[str], where: str) -> None:
        """Raises ValueError for a missing column."""

        for name in self.names or ():
            if name not in found:
                raise no_column(where, name, found)

    def of(self, row: Row) -> Any:
        """Returns the row's document."""
        if self._document is None:
            return row[self.column]
        if isinstance(self._document, str):
            return self._document.format_map(
                {name: "" if row[name] is None else row[name] for name in self.names or ()}
            )
        return self._document(row)


def no_column(where: str, column: str, found: Sequence[str]) -> ValueError:
    """The error for a column that is not there: names those that are, the nearest first."""
    nearest = get_close_matches(column, found, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return ValueError(f"{where}column ({column!r}) must be one of: {', '.join(found)}{hint}")
