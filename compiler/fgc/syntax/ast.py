"""The syntax tree of a template: a closed union of statements and one of expressions, each with its place."""

from dataclasses import dataclass, field
from typing import TypeAlias

from fgc.text import Source, Span

# ---- expressions


@dataclass(frozen=True, slots=True)
class Name:
    span: Span
    name: str


@dataclass(frozen=True, slots=True)
class Const:
    span: Span
    value: bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class TupleExpr:
    span: Span
    items: "tuple[Expr, ...]"


@dataclass(frozen=True, slots=True)
class ListExpr:
    span: Span
    items: "tuple[Expr, ...]"


@dataclass(frozen=True, slots=True)
class DictExpr:
    span: Span
    items: "tuple[tuple[Expr, Expr], ...]"


@dataclass(frozen=True, slots=True)
class GetAttr:
    span: Span
    base: "Expr"
    name: str
    name_span: Span


@dataclass(frozen=True, slots=True)
class GetItem:
    span: Span
    base: "Expr"
    index: "Expr"


@dataclass(frozen=True, slots=True)
class Slice:
    span: Span
    start: "Expr | None"
    stop: "Expr | None"
    step: "Expr | None"


@dataclass(frozen=True, slots=True)
class KeywordArgument:
    """`span` is the place of the name."""

    span: Span
    name: str
    value: "Expr"


@dataclass(frozen=True, slots=True)
class Arguments:
    """What stands in the parentheses of a call."""

    span: Span
    positional: "tuple[Expr, ...]" = ()
    keywords: tuple[KeywordArgument, ...] = ()
    star: "Expr | None" = None
    double_star: "Expr | None" = None


@dataclass(frozen=True, slots=True)
class CallExpr:
    span: Span
    callee: "Expr"
    arguments: Arguments


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter's name and arguments, without what it is applied to."""

    span: Span
    name: str
    name_span: Span
    arguments: Arguments


@dataclass(frozen=True, slots=True)
class FilterExpr:
    span: Span
    base: "Expr"
    filter: Filter


@dataclass(frozen=True, slots=True)
class TestExpr:
    span: Span
    base: "Expr"
    test: Filter
    is_negated: bool


@dataclass(frozen=True, slots=True)
class Unary:
    span: Span
    operator: str  # + - not
    operand: "Expr"


@dataclass(frozen=True, slots=True)
class Binary:
    span: Span
    operator: str  # + - * / // % ** and or
    left: "Expr"
    right: "Expr"


@dataclass(frozen=True, slots=True)
class Compare:
    span: Span
    first: "Expr"
    rest: "tuple[tuple[str, Expr], ...]"  # == != < <= > >= in, not in


@dataclass(frozen=True, slots=True)
class Concat:
    span: Span
    items: "tuple[Expr, ...]"


@dataclass(frozen=True, slots=True)
class Conditional:
    span: Span
    condition: "Expr"
    then: "Expr"
    otherwise: "Expr | None"


@dataclass(frozen=True, slots=True)
class Invalid:
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


@dataclass(frozen=True, slots=True)
class NamespaceTarget:
    span: Span
    namespace: str
    attribute: str
    attribute_span: Span


@dataclass(frozen=True, slots=True)
class TargetTuple:
    span: Span
    items: "tuple[Target, ...]"


Target: TypeAlias = Name | NamespaceTarget | TargetTuple

# ---- statements


@dataclass(frozen=True, slots=True)
class Run:
    """A run of text: equal to its span if literal, else made by a line rule that the span stands for."""

    text: str
    span: Span
    is_literal: bool


@dataclass(frozen=True, slots=True)
class Text:
    span: Span
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Print:
    span: Span
    value: Expr


@dataclass(frozen=True, slots=True)
class If:
    span: Span
    branches: "tuple[tuple[Expr, tuple[Statement, ...]], ...]"
    otherwise: "tuple[Statement, ...]"


@dataclass(frozen=True, slots=True)
class For:
    span: Span
    target: Target
    iterable: Expr
    condition: Expr | None
    is_recursive: bool
    body: "tuple[Statement, ...]"
    otherwise: "tuple[Statement, ...]"


@dataclass(frozen=True, slots=True)
class Block:
    """A named block; `name_span` is the place of its name, `is_trimmed` comes from a `[name!]` header."""

    span: Span
    name: str
    name_span: Span
    body: "tuple[Statement, ...]"
    is_scoped: bool = False
    is_required: bool = False
    is_trimmed: bool = False


@dataclass(frozen=True, slots=True)
class Extends:
    span: Span
    parent: Expr


@dataclass(frozen=True, slots=True)
class Include:
    span: Span
    template: Expr
    ignores_missing: bool
    with_context: bool


@dataclass(frozen=True, slots=True)
class Import:
    span: Span
    template: Expr
    name: str
    with_context: bool


@dataclass(frozen=True, slots=True)
class ImportedName:
    span: Span
    name: str
    alias: str


@dataclass(frozen=True, slots=True)
class FromImport:
    span: Span
    template: Expr
    names: tuple[ImportedName, ...]
    with_context: bool


@dataclass(frozen=True, slots=True)
class Parameter:
    span: Span
    name: str
    default: Expr | None


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro; `call` and `filter` blocks have none of its names."""

    span: Span
    name: str
    parameters: tuple[Parameter, ...]
    body: "tuple[Statement, ...]"


@dataclass(frozen=True, slots=True)
class CallBlock:
    span: Span
    call: CallExpr
    parameters: tuple[Parameter, ...]
    body: "tuple[Statement, ...]"


@dataclass(frozen=True, slots=True)
class FilterBlock:
    span: Span
    filters: tuple[Filter, ...]
    body: "tuple[Statement, ...]"


@dataclass(frozen=True, slots=True)
class Set:
    span: Span
    target: Target
    value: Expr


@dataclass(frozen=True, slots=True)
class SetBlock:
    span: Span
    target: Target
    filters: tuple[Filter, ...]
    body: "tuple[Statement, ...]"


@dataclass(frozen=True, slots=True)
class With:
    span: Span
    bindings: tuple[tuple[Target, Expr], ...]
    body: "tuple[Statement, ...]"


@dataclass(frozen=True, slots=True)
class Autoescape:
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


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """One template: a file's own, or an inline one of a file. `name_span` is the place of an inline name."""

    name: str
    source: Source
    body: tuple[Statement, ...]
    blocks: dict[str, Block] = field(default_factory=dict)
    name_span: Span | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ParsedFile:
    """A file's own template and its inline templates."""

    main: Template
    parts: tuple[Template, ...] = ()
