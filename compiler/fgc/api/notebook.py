"""Renders configurations in notebooks: tables and highlighted text."""

from collections.abc import Iterable, Sequence
from html import escape

_CELL = 'style="text-align:left"'


class Highlighted(str):
    """A string that a notebook shows highlighted. `language` is the name of a Pygments lexer."""

    __slots__ = ("language",)
    language: str

    def __new__(cls, text: str, language: str) -> "Highlighted":
        made = super().__new__(cls, text)
        made.language = language
        return made

    def _repr_html_(self) -> str:
        try:
            from pygments import highlight
            from pygments.formatters import HtmlFormatter
            from pygments.lexers import get_lexer_by_name
        except ImportError:
            return f"<pre>{escape(self)}</pre>"
        lexer = get_lexer_by_name(self.language, ensurenl=False)
        return str(highlight(self, lexer, HtmlFormatter(noclasses=True, nobackground=True)))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """An HTML table of texts."""
    top = "".join(f"<th {_CELL}>{escape(head)}</th>" for head in heads)
    body = "".join(f"<tr>{''.join(f'<td {_CELL}>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def caption(title: str, description: str | None, folder: str) -> str:
    """Returns the HTML above a table."""
    about = f": {escape(description)}" if description else ""
    return f"<p><b>{escape(title)}</b>{about}<br><code>{escape(folder)}</code></p>"
