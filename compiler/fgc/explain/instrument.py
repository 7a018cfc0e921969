"""Rewrites templates so that they record what they print, set, loop over, extend and include."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fgc.explain.trace import RECORD, Site, SiteKind, Trace
from fgc.syntax import ast
from fgc.text import Span


def instrument(file: ast.ParsedFile, trace: Trace) -> ast.ParsedFile:
    """Returns a file whose templates mean the same and record their evaluations in the trace."""
    main, *parts = (_Instrumenter(trace).template(template) for template in (file.main, *file.parts))
    return ast.ParsedFile(main, tuple(parts))


class _Instrumenter:
    """Rewrites one template. Keeps the rewritten form of each of its blocks."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._blocks: dict[int, ast.Block] = {}

    def template(self, template: ast.Template) -> ast.Template:
        body = self._body(template.body)
        blocks = {name: self._blocks.get(id(block), block) for name, block in template.blocks.items()}
        return replace(template, body=body, blocks=blocks)

    def _body(self, body: tuple[ast.Statement, ...]) -> tuple[ast.Statement, ...]:
        return tuple(found for statement in body for found in self._statement(statement))

    def _statement(self, statement: ast.Statement) -> Iterator[ast.Statement]:
        match statement:
            case ast.Print():
                yield replace(statement, value=self._recorded(SiteKind.PRINT, statement.value, statement.span))
            case ast.Set():
                targets = target_names(statement.target)
                yield replace(statement, value=self._recorded(SiteKind.SET, statement.value, statement.span, targets))
            case ast.SetBlock():
                yield replace(statement, body=self._body(statement.body))
                yield from self._set_again(statement)
            case ast.Extends():
                yield replace(statement, parent=self._recorded(SiteKind.EXTENDS, statement.parent, statement.span))
            case ast.Include():
                template = self._recorded(SiteKind.INCLUDE, statement.template, statement.span)
                yield replace(statement, template=template)
            case _:
                yield self._nested(statement)

    def _nested(self, statement: ast.Statement) -> ast.Statement:
        match statement:
            case ast.If():
                branches = tuple((condition, self._body(body)) for condition, body in statement.branches)
                return replace(statement, branches=branches, otherwise=self._body(statement.otherwise))
            case ast.For():
                names = target_names(statement.target)
                iterable = self._recorded(SiteKind.LOOP, statement.iterable, statement.span, names)
                body, otherwise = self._body(statement.body), self._body(statement.otherwise)
                return replace(statement, iterable=iterable, body=body, otherwise=otherwise)
            case ast.Block():
                block = replace(statement, body=self._body(statement.body))
                self._blocks[id(statement)] = block
                return block
            case ast.Macro():
                return replace(statement, body=(*self._parameters(statement), *self._body(statement.body)))
            case ast.CallBlock() | ast.FilterBlock() | ast.Autoescape():
                return replace(statement, body=self._body(statement.body))
            case ast.With():
                bindings = tuple(
                    (target, self._recorded(SiteKind.SET, value, statement.span, target_names(target)))
                    for target, value in statement.bindings
                )
                return replace(statement, bindings=bindings, body=self._body(statement.body))
            case _:
                return statement

    def _set_again(self, statement: ast.SetBlock) -> Iterator[ast.Set]:
        """Yields an assignment of the variable to itself, because a captured text has no expression to wrap."""
        target, span = statement.target, statement.span
        value: ast.Expr
        match target:
            case ast.Name():
                value = target
            case ast.NamespaceTarget():
                value = ast.GetAttr(span, ast.Name(span, target.namespace), target.attribute, target.attribute_span)
            case _:
                return
        site = Site(SiteKind.SET, ast.Const(span, None), span, target_names(target))
        yield ast.Set(span, target, self._call(site, value))

    def _parameters(self, macro: ast.Macro) -> Iterator[ast.Set]:
        """Yields an assignment of each parameter to itself, at the beginning of the macro."""
        for parameter in macro.parameters:
            name = ast.Name(parameter.span, parameter.name)
            site = Site(SiteKind.PARAMETER, ast.Const(parameter.span, None), parameter.span, (parameter.name,))
            yield ast.Set(parameter.span, name, self._call(site, name))

    def _recorded(self, kind: SiteKind, expr: ast.Expr, span: Span, targets: tuple[str, ...] = ()) -> ast.Expr:
        return self._call(Site(kind, expr, span, targets), expr)

    def _call(self, site: Site, expr: ast.Expr) -> ast.Expr:
        """Returns the expression, wrapped in a call that records it at a site."""
        number = self._trace.add(site)
        at = expr.span
        names = ast.DictExpr(
            at, tuple((ast.Const(at, name), ast.Name(at, name)) for name in sorted(mentioned(site.expr)))
        )
        record = ast.Name(at, RECORD)
        call = ast.CallExpr(at, record, ast.Arguments(at, (ast.Const(at, number), expr, names)))
        is_known = ast.TestExpr(at, record, ast.Filter(at, "defined", at, ast.Arguments(at)), False)
        return ast.Conditional(at, is_known, call, expr)  # a template imported without context sees no variables


def target_names(target: ast.Target) -> tuple[str, ...]:
    """Returns the names that an assignment sets, with attributes of a namespace as `ns.x`."""
    match target:
        case ast.Name():
            return (target.name,)
        case ast.NamespaceTarget():
            return (f"{target.namespace}.{target.attribute}",)
        case ast.TargetTuple():
            return tuple(name for item in target.items for name in target_names(item))


def mentioned(expr: ast.Expr) -> frozenset[str]:
    """Returns the plain names in an expression."""
    return frozenset(node.name for node in walk(expr) if isinstance(node, ast.Name))


def walk(node: Any) -> Iterator[ast.Expr]:
    """Yields an expression and all its parts."""
    if isinstance(node, tuple):
        for item in node:
            yield from walk(item)
    elif isinstance(node, Struct) and not isinstance(node, Span):
        if isinstance(node, ast.Expr):
            yield node
        for name in node.__struct_fields__:
            yield from walk(getattr(node, name))
