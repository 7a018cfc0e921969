"""The templates of a search path, and which of them name which others: read, never run."""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path

from msgspec import Struct

from fgc.syntax import ast
from fgc.text import TEMPLATE_SUFFIXES, Span
from fgc.workspace.store import FileStore


class UseKind(Enum):
    """How a template draws on another."""

    EXTENDS = "extends"
    INCLUDES = "includes"
    IMPORTS = "imports"


class Use(Struct, frozen=True):
    """A statement that names templates: `names` is empty where the name is computed. `text` is as written."""

    kind: UseKind
    names: tuple[str, ...]
    text: str
    span: Span


class TemplateEntry(Struct, frozen=True):
    """A template by its name; an inline one lies in another's file."""

    name: str
    file: str
    is_inline: bool
    uses: tuple[Use, ...]

    def names(self, kind: UseKind) -> tuple[str, ...]:
        """The templates that it names in statements of a kind."""
        return tuple(dict.fromkeys(name for use in self.uses if use.kind is kind for name in use.names))


def template_files(folders: Iterable[Path], store: FileStore) -> Iterator[tuple[str, Path]]:
    """Names and paths of all templates; the first file of a name is the one that is found."""
    seen: set[str] = set()
    for folder in folders:
        for root, files in store.walk(folder, lambda name: not name.startswith((".", "__"))):
            for file in files:
                path = root / file
                name = path.relative_to(folder).as_posix()
                if name.endswith(TEMPLATE_SUFFIXES) and name not in seen:
                    seen.add(name)
                    yield name, path


def template_entries(folders: Sequence[Path], store: FileStore) -> list[TemplateEntry]:
    """Every template of a search path with what it names; a file that cannot be parsed gives what can be read."""
    found: list[TemplateEntry] = []
    for name, path in template_files(folders, store):
        found += entries_of(store.parse(path, name).value)
    return found


def entries_of(file: ast.ParsedFile) -> Iterator[TemplateEntry]:
    """A file's own template and its inline ones."""
    for template in (file.main, *file.parts):
        uses = tuple(sorted(uses_in(template.body), key=lambda use: use.span.start))
        yield TemplateEntry(template.name, template.source.display_name, template is not file.main, uses)


def uses_in(body: Iterable[ast.Statement]) -> Iterator[Use]:
    """Every statement that names a template, however deep."""
    for statement in body:
        match statement:
            case ast.Extends():
                yield _use(UseKind.EXTENDS, statement.parent, statement.span)
            case ast.Include():
                yield _use(UseKind.INCLUDES, statement.template, statement.span)
            case ast.Import() | ast.FromImport():
                yield _use(UseKind.IMPORTS, statement.template, statement.span)
            case ast.If():
                for _, inner in statement.branches:
                    yield from uses_in(inner)
                yield from uses_in(statement.otherwise)
            case ast.For():
                yield from uses_in((*statement.body, *statement.otherwise))
            case _:
                yield from uses_in(getattr(statement, "body", ()))


def _use(kind: UseKind, expression: ast.Expr, span: Span) -> Use:
    return Use(kind, _constant_names(expression), expression.span.text, span)


def _constant_names(expression: ast.Expr) -> tuple[str, ...]:
    match expression:
        case ast.Const(value=str(name)):
            return (name,)
        case ast.ListExpr(items=items) | ast.TupleExpr(items=items):
            names = tuple(name for item in items for name in _constant_names(item))
            return names if len(names) == len(items) else ()
        case ast.Conditional(then=then, otherwise=otherwise):
            return (*_constant_names(then), *(_constant_names(otherwise) if otherwise is not None else ()))
        case _:
            return ()
