"""The syntax tree of a template: a closed union of statements and one of expressions, each with its place."""

from typing import TypeAlias

from msgspec import Struct, field

from fgc.text import Source, Span

# ---- expressions


class Name(Struct, frozen=True):
    span: Span
    name: str


class Const(Struct, frozen=True):
    span: Span
    value: bool | int | float | str | None


class TupleExpr(Struct, frozen=True):
    span: Span
    items: "tuple[Expr, ...]"


class ListExpr(Struct, frozen=True):
    span: Span
    items: "tuple[Expr, ...]"


class DictExpr(Struct, frozen=True):
    span: Span
    items: "tuple[tuple[Expr, Expr], ...]"


class GetAttr(Struct, frozen=True):
    span: Span
    base: "Expr"
    name: str
    name_span: Span


class GetItem(Struct, frozen=True):
    span: Span
    base: "Expr"
    index: "Expr"


class Slice(Struct, frozen=True):
    span: Span
    start: "Expr | None"
    stop: "Expr | None"
    step: "Expr | None"


class KeywordArgument(Struct, frozen=True):
    """`span` is the place of the name."""

    span: Span
    name: str
    value: "Expr"


class Arguments(Struct, frozen=True):
    """Holds the arguments of a call."""

    span: Span
    positional: "tuple[Expr, ...]" = ()
    keywords: tuple[KeywordArgument, ...] = ()
    star: "Expr | None" = None
    double_star: "Expr | None" = None


class CallExpr(Struct, frozen=True):
    span: Span
    callee: "Expr"
    arguments: Arguments


class Filter(Struct, frozen=True):
    """A filter's name and arguments, without what it is applied to."""

    span: Span
    name: str
    name_span: Span
    arguments: Arguments


class FilterExpr(Struct, frozen=True):
    span: Span
    base: "Expr"
    filter: Filter


class TestExpr(Struct, frozen=True):
    span: Span
    base: "Expr"
    test: Filter
    is_negated: bool


class Unary(Struct, frozen=True):
    span: Span
    operator: str  # + - not
    operand: "Expr"


class Binary(Struct, frozen=True):
    span: Span
    operator: str  # + - * / // % ** and or
    left: "Expr"
    right: "Expr"


class Compare(Struct, frozen=True):
    span: Span
    first: "Expr"
    rest: "tuple[tuple[str, Expr], ...]"  # == != < <= > >= in, not in


class Concat(Struct, frozen=True):
    span: Span
    items: "tuple[Expr, ...]"


class Conditional(Struct, frozen=True):
    span: Span
    condition: "Expr"
    then: "Expr"
    otherwise: "Expr | None"


class Invalid(Struct, frozen=True):
    """Stands where an expression has a syntax error, so that what is around it still means something."""

    span: Span


Expr: TypeAlias = (
    Invalid
    | Name
    | Const
    | TupleExpr
    | ListExpr
    | DictExpr
    | GetAttr
    | GetItem
    | Slice
    | CallExpr
    | FilterExpr
    | TestExpr
    | Unary
    | Binary
    | Compare
    | Concat
    | Conditional
)

# ---- targets of assignments


class NamespaceTarget(Struct, frozen=True):
    span: Span
    namespace: str
    attribute: str
    attribute_span: Span


class TargetTuple(Struct, frozen=True):
    span: Span
    items: "tuple[Target, ...]"


Target: TypeAlias = Name | NamespaceTarget | TargetTuple

# ---- statements


class Run(Struct, frozen=True):
    """A run of text: equal to its span if literal, else made by a line rule that the span stands for."""

    text: str
    span: Span
    is_literal: bool


class Text(Struct, frozen=True):
    span: Span
    runs: tuple[Run, ...]


class Print(Struct, frozen=True):
    span: Span
    value: Expr


class If(Struct, frozen=True):
    span: Span
    branches: "tuple[tuple[Expr, tuple[Statement, ...]], ...]"
    otherwise: "tuple[Statement, ...]"


class For(Struct, frozen=True):
    span: Span
    target: Target
    iterable: Expr
    condition: Expr | None
    is_recursive: bool
    body: "tuple[Statement, ...]"
    otherwise: "tuple[Statement, ...]"


class Block(Struct, frozen=True):
    """A named block; `name_span` is the place of its name, `is_trimmed` comes from a `[name!]` header."""

    span: Span
    name: str
    name_span: Span
    body: "tuple[Statement, ...]"
    is_scoped: bool = False
    is_required: bool = False
    is_trimmed: bool = False


class Extends(Struct, frozen=True):
    span: Span
    parent: Expr


class Include(Struct, frozen=True):
    span: Span
    template: Expr
    ignores_missing: bool
    with_context: bool


class Import(Struct, frozen=True):
    span: Span
    template: Expr
    name: str
    with_context: bool


class ImportedName(Struct, frozen=True):
    span: Span
    name: str
    alias: str


class FromImport(Struct, frozen=True):
    span: Span
    template: Expr
    names: tuple[ImportedName, ...]
    with_context: bool


class Parameter(Struct, frozen=True):
    span: Span
    name: str
    default: Expr | None


class Macro(Struct, frozen=True):
    """A macro; `call` and `filter` blocks have none of its names."""

    span: Span
    name: str
    parameters: tuple[Parameter, ...]
    body: "tuple[Statement, ...]"


class CallBlock(Struct, frozen=True):
    span: Span
    call: CallExpr
    parameters: tuple[Parameter, ...]
    body: "tuple[Statement, ...]"


class FilterBlock(Struct, frozen=True):
    span: Span
    filters: tuple[Filter, ...]
    body: "tuple[Statement, ...]"


class Set(Struct, frozen=True):
    span: Span
    target: Target
    value: Expr


class SetBlock(Struct, frozen=True):
    span: Span
    target: Target
    filters: tuple[Filter, ...]
    body: "tuple[Statement, ...]"


class With(Struct, frozen=True):
    span: Span
    bindings: tuple[tuple[Target, Expr], ...]
    body: "tuple[Statement, ...]"


class Autoescape(Struct, frozen=True):
    """Kept for templates that switch it off; configurations are never escaped."""

    span: Span
    body: "tuple[Statement, ...]"


Statement: TypeAlias = (
    Text
    | Print
    | If
    | For
    | Block
    | Extends
    | Include
    | Import
    | FromImport
    | Macro
    | CallBlock
    | FilterBlock
    | Set
    | SetBlock
    | With
    | Autoescape
)


class Template(Struct, frozen=True, eq=False):
    """One template: a file's own, or an inline one of a file. `name_span` is the place of an inline name.

    `is_partial`: something in it could not be read; `has_lost_blocks`: and may have hidden blocks, or where they end.
    """

    name: str
    source: Source
    body: tuple[Statement, ...]
    blocks: dict[str, Block] = field(default_factory=dict)
    name_span: Span | None = None
    is_partial: bool = False
    has_lost_blocks: bool = False


class ParsedFile(Struct, frozen=True, eq=False):
    """A file's own template and its inline templates."""

    main: Template
    parts: tuple[Template, ...] = ()
