"""Reductions of template.lark to nodes of the syntax tree: one method for each rule or alias of the grammar."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from fgc.diagnostics import Diagnostic
from fgc.syntax import ast
from fgc.syntax.lines import Shadow
from fgc.syntax.tokens import Token
from fgc.text import Span

UNKNOWN = "unknown"  # the keyword of a statement that resembles none: it may open, end or set something


class Head(Struct, frozen=True):
    """A statement before it is nested: its keyword and what its grammar rule kept.

    `is_broken`: it could not be read, which has been said; `parts` then hold what it would have defined.
    """

    keyword: str
    span: Span
    parts: list[Any]
    is_broken: bool = False


_HEADS = (
    *("if_", "elif_", "else_", "endif", "for_", "endfor", "block", "endblock", "extends", "include", "import_"),
    *("from_import", "macro", "endmacro", "endcall", "filter_block", "endfilter", "set_", "set_block"),
    *("endset", "with_", "endwith", "autoescape", "endautoescape"),
)
_CONSTANTS = {"true": True, "True": True, "false": False, "False": False, "none": None, "None": None}


class _Table(dict[str, Callable[[int, int, list[Any]], Any]]):
    """The methods of a builder by the names of rules, each bound when a rule is reduced first."""

    def __init__(self, builder: "NodeBuilder") -> None:
        self._builder = builder

    def __missing__(self, rule: str) -> Callable[[int, int, list[Any]], Any]:
        self[rule] = self._builder.head(rule) if rule in _HEADS else getattr(self._builder, f"_{rule}")
        return self[rule]


class NodeBuilder:
    """Builds nodes whose spans lie in the author's text; says what the grammar allows and the language does not."""

    def __init__(self, shadow: Shadow) -> None:
        self._shadow = shadow
        self.diagnostics: list[Diagnostic] = []
        self.table: dict[str, Callable[[int, int, list[Any]], Any]] = _Table(self)

    def _span(self, start: int, end: int) -> Span:
        return self._shadow.span(start, end)

    def head(self, keyword: str) -> Callable[[int, int, list[Any]], Head]:
        return lambda start, end, parts: Head(keyword.rstrip("_"), self._span(start, end), parts)

    def _refuse(self, span: Span, message: str, help: str | None = None) -> None:
        self.diagnostics.append(Diagnostic("FGC101", message, span, help=help))

    def _of(self, token: Token) -> Span:
        return self._span(token.start, token.end)

    # ---- pieces of statements

    def _block_flag(self, start: int, end: int, parts: list[Any]) -> Any:
        return parts[0]

    def _ignore_missing(self, start: int, end: int, parts: list[Any]) -> Any:
        return "ignore missing"

    def _context(self, start: int, end: int, parts: list[Any]) -> Any:
        return parts[0].text == "with"

    def _imported(self, start: int, end: int, parts: list[Any]) -> ast.ImportedName:
        return ast.ImportedName(self._span(start, end), parts[0].text, parts[-1].text)

    def _parameters(self, start: int, end: int, parts: list[Any]) -> tuple[ast.Parameter, ...]:
        return tuple(parts)

    def _parameter(self, start: int, end: int, parts: list[Any]) -> ast.Parameter:
        return ast.Parameter(self._of(parts[0]), parts[0].text, parts[1] if len(parts) > 1 else None)

    def _binding(self, start: int, end: int, parts: list[Any]) -> tuple[ast.Target, ast.Expr]:
        return parts[0], parts[1]

    def _loop_filter(self, start: int, end: int, parts: list[Any]) -> tuple[str, ast.Expr]:
        return "if", parts[0]

    def _targets(self, start: int, end: int, parts: list[Any]) -> ast.Target:
        items = tuple(part for part in parts if not isinstance(part, Token))
        if len(items) == len(parts) == 1:
            only: ast.Target = items[0]
            return only
        return ast.TargetTuple(self._span(start, end), items)

    _assign_targets = _targets

    def _target_name(self, start: int, end: int, parts: list[Any]) -> ast.Name:
        span, name = self._span(start, end), parts[0].text
        if name in _CONSTANTS:
            self._refuse(span, f"`{name}` is a constant and cannot be set", "choose another name")
        return ast.Name(span, name)

    def _call_block(self, start: int, end: int, parts: list[Any]) -> Head:
        span, called = self._span(start, end), parts[-1]
        if not isinstance(called, ast.CallExpr):
            self._refuse(called.span, "a call block calls a macro", f"write `call {called.span.text}()`")
            parts[-1] = ast.CallExpr(called.span, ast.Invalid(called.span), ast.Arguments(called.span))
        return Head("call_block", span, parts)

    def _target_group(self, start: int, end: int, parts: list[Any]) -> ast.Target:
        target: ast.Target = parts[0]
        return target

    def _namespace_target(self, start: int, end: int, parts: list[Any]) -> ast.NamespaceTarget:
        return ast.NamespaceTarget(self._span(start, end), parts[0].text, parts[1].text, self._of(parts[1]))

    def _filter_chain(self, start: int, end: int, parts: list[Any]) -> tuple[ast.Filter, ...]:
        return tuple(parts)

    def _dotted(self, start: int, end: int, parts: list[Any]) -> tuple[str, Span]:
        return ".".join(part.text for part in parts), self._span(start, end)

    def _filter(self, start: int, end: int, parts: list[Any]) -> ast.Filter:
        name, span = parts[0]
        arguments = parts[1] if len(parts) > 1 else ast.Arguments(span)
        if not isinstance(arguments, ast.Arguments):
            arguments = ast.Arguments(arguments.span, (arguments,))
        return ast.Filter(self._span(start, end), name, span, arguments)

    _test = _filter

    # ---- expressions

    def _name(self, start: int, end: int, parts: list[Any]) -> ast.Expr:
        text = parts[0].text
        span = self._span(start, end)
        return ast.Const(span, _CONSTANTS[text]) if text in _CONSTANTS else ast.Name(span, text)

    def _string(self, start: int, end: int, parts: list[Any]) -> ast.Const:
        try:
            return ast.Const(self._span(start, end), "".join(_unquote(part.text) for part in parts))
        except UnicodeDecodeError:
            self._refuse(self._span(start, end), "this string has a broken escape", "write `\\\\` for a backslash")
            return ast.Const(self._span(start, end), "")

    def _integer(self, start: int, end: int, parts: list[Any]) -> ast.Const:
        return ast.Const(self._span(start, end), int(parts[0].text.replace("_", ""), 0))

    def _float(self, start: int, end: int, parts: list[Any]) -> ast.Const:
        return ast.Const(self._span(start, end), float(parts[0].text.replace("_", "")))

    def _empty_tuple(self, start: int, end: int, parts: list[Any]) -> ast.TupleExpr:
        return ast.TupleExpr(self._span(start, end), ())

    def _group(self, start: int, end: int, parts: list[Any]) -> ast.Expr:
        inner: ast.Expr = parts[0]
        return inner

    def _tuple_(self, start: int, end: int, parts: list[Any]) -> ast.TupleExpr:
        return ast.TupleExpr(self._span(start, end), tuple(p for p in parts if not isinstance(p, Token)))

    def _list(self, start: int, end: int, parts: list[Any]) -> ast.ListExpr:
        return ast.ListExpr(self._span(start, end), tuple(parts))

    def _dict(self, start: int, end: int, parts: list[Any]) -> ast.DictExpr:
        return ast.DictExpr(self._span(start, end), tuple(parts))

    def _pair(self, start: int, end: int, parts: list[Any]) -> tuple[ast.Expr, ast.Expr]:
        return parts[0], parts[1]

    def _conditional(self, start: int, end: int, parts: list[Any]) -> ast.Conditional:
        return ast.Conditional(self._span(start, end), parts[1], parts[0], parts[2] if len(parts) > 2 else None)

    def _or_(self, start: int, end: int, parts: list[Any]) -> ast.Binary:
        return ast.Binary(self._span(start, end), "or", parts[0], parts[1])

    def _and_(self, start: int, end: int, parts: list[Any]) -> ast.Binary:
        return ast.Binary(self._span(start, end), "and", parts[0], parts[1])

    def _not_(self, start: int, end: int, parts: list[Any]) -> ast.Unary:
        return ast.Unary(self._span(start, end), "not", parts[0])

    def _compare(self, start: int, end: int, parts: list[Any]) -> ast.Compare:
        rest = tuple(zip(parts[1::2], parts[2::2], strict=True))
        return ast.Compare(self._span(start, end), parts[0], rest)

    def _comparator(self, start: int, end: int, parts: list[Any]) -> str:
        return " ".join(part.text for part in parts)

    def _concat(self, start: int, end: int, parts: list[Any]) -> ast.Concat:
        return ast.Concat(self._span(start, end), tuple(parts))

    def _binary(self, start: int, end: int, parts: list[Any]) -> ast.Binary:
        return ast.Binary(self._span(start, end), parts[1].text, parts[0], parts[2])

    def _unary(self, start: int, end: int, parts: list[Any]) -> ast.Unary:
        return ast.Unary(self._span(start, end), parts[0].text, parts[1])

    def _apply_filter(self, start: int, end: int, parts: list[Any]) -> ast.FilterExpr:
        return ast.FilterExpr(self._span(start, end), parts[0], parts[1])

    def _apply_test(self, start: int, end: int, parts: list[Any]) -> ast.TestExpr:
        return ast.TestExpr(self._span(start, end), parts[0], parts[1], False)

    def _apply_test_not(self, start: int, end: int, parts: list[Any]) -> ast.TestExpr:
        return ast.TestExpr(self._span(start, end), parts[0], parts[1], True)

    def _getattr(self, start: int, end: int, parts: list[Any]) -> ast.GetAttr:
        return ast.GetAttr(self._span(start, end), parts[0], parts[1].text, self._of(parts[1]))

    def _getindex(self, start: int, end: int, parts: list[Any]) -> ast.GetItem:
        index = ast.Const(self._of(parts[1]), int(parts[1].text))
        return ast.GetItem(self._span(start, end), parts[0], index)

    def _getitem(self, start: int, end: int, parts: list[Any]) -> ast.GetItem:
        base, first, *rest = parts
        index = ast.TupleExpr(first.span, (first, *rest)) if rest else first
        return ast.GetItem(self._span(start, end), base, index)

    def _slice(self, start: int, end: int, parts: list[Any]) -> ast.Slice:
        bounds = dict(parts)
        return ast.Slice(self._span(start, end), bounds.get("start"), bounds.get("stop"), bounds.get("step"))

    def _slice_bound(self, start: int, end: int, parts: list[Any]) -> tuple[str, Any]:
        return "start", parts[0]

    def _slice_end(self, start: int, end: int, parts: list[Any]) -> tuple[str, Any]:
        return "stop", parts[0]

    def _slice_step(self, start: int, end: int, parts: list[Any]) -> tuple[str, Any]:
        return "step", parts[0] if parts else None

    def _call(self, start: int, end: int, parts: list[Any]) -> ast.CallExpr:
        return ast.CallExpr(self._span(start, end), parts[0], parts[1])

    def _positional(self, start: int, end: int, parts: list[Any]) -> tuple[str, Any]:
        return "positional", parts[0]

    def _keyword(self, start: int, end: int, parts: list[Any]) -> tuple[str, Any]:
        return "keyword", ast.KeywordArgument(self._of(parts[0]), parts[0].text, parts[1])

    def _star(self, start: int, end: int, parts: list[Any]) -> tuple[str, Any]:
        return "star", parts[0]

    def _double_star(self, start: int, end: int, parts: list[Any]) -> tuple[str, Any]:
        return "double_star", parts[0]

    def _arguments(self, start: int, end: int, parts: list[Any]) -> ast.Arguments:
        kinds: dict[str, list[Any]] = {"positional": [], "keyword": [], "star": [], "double_star": []}
        for kind, value in parts:
            kinds[kind].append(value)
        star, double_star = kinds["star"], kinds["double_star"]
        return ast.Arguments(
            self._span(start, end),
            tuple(kinds["positional"]),
            tuple(kinds["keyword"]),
            star[0] if star else None,
            double_star[0] if double_star else None,
        )


def _unquote(text: str) -> str:
    body = text[1:-1]
    if "\\" not in body:
        return body
    return body.encode("ascii", "backslashreplace").decode("unicode-escape")
