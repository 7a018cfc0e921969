"""What templates call by the language's own means: macros, `super`, `self` and imported templates."""

from collections.abc import Callable, Mapping
from typing import Any

from fgc.diagnostics import Diagnostic, did_you_mean
from fgc.resolve.errors import EvaluationError
from fgc.resolve.mapped import MappedText
from fgc.syntax import ast
from fgc.text import Span


class Macro:
    """A macro, or the `caller` of a call block. `run` renders its body with the bound names."""

    __slots__ = ("_mentions", "_name", "_parameters", "_run", "_span")

    def __init__(
        self,
        name: str,
        span: Span,
        parameters: tuple[ast.Parameter, ...],
        mentions: frozenset[str],
        run: Callable[[Span, dict[str, Any], tuple[ast.Parameter, ...]], MappedText],
    ) -> None:
        self._name = name
        self._span = span
        self._parameters = parameters
        self._mentions = mentions
        self._run = run

    @property
    def name(self) -> str:
        return self._name

    def __call__(self, *args: Any, **kwargs: Any) -> MappedText:
        return self._call_at(self._span, list(args), kwargs)

    def _call_at(self, span: Span, args: list[Any], kwargs: dict[str, Any]) -> MappedText:
        names = [parameter.name for parameter in self._parameters]
        bound: dict[str, Any] = dict(zip(names, args, strict=False))
        extra = args[len(names) :]
        if extra and "varargs" not in self._mentions:
            self._refuse(span, f"takes at most {len(names)} arguments, and {len(args)} are given")
        rest: dict[str, Any] = {}
        for name, value in kwargs.items():
            if name in bound:
                self._refuse(span, f"gets argument `{name}` twice")
            (bound if name in (*names, "caller") else rest)[name] = value
        if rest and "kwargs" not in self._mentions:
            unknown = next(iter(rest))
            self._refuse(span, f"has no parameter `{unknown}`", did_you_mean(unknown, names))
        if "caller" in bound and "caller" not in self._mentions and "caller" not in names:
            self._refuse(span, "is called with a body, and never prints `caller()`")
        bound |= {"varargs": tuple(extra), "kwargs": rest}
        missing = tuple(parameter for parameter in self._parameters if parameter.name not in bound)
        return self._run(span, bound, missing)

    def _refuse(self, span: Span, message: str, help: str | None = None) -> None:
        raise EvaluationError(Diagnostic("FGC206", f"macro `{self._name}` {message}", span, help=help))


class BlockReference:
    """`super` or `self.name`: called, it renders a block; `super.super` is one level further up."""

    __slots__ = ("_depth", "_render")

    def __init__(self, render: Callable[[int, Span], MappedText], depth: int) -> None:
        self._render = render
        self._depth = depth

    @property
    def super(self) -> "BlockReference":
        return BlockReference(self._render, self._depth + 1)

    def __call__(self) -> MappedText:
        raise TypeError("blocks are rendered by calling them in a template")

    def _call_at(self, span: Span, args: list[Any], kwargs: dict[str, Any]) -> MappedText:
        if args or kwargs:
            raise EvaluationError(Diagnostic("FGC206", "a block takes no arguments", span))
        return self._render(self._depth, span)


class SelfReference:
    """`self`: the blocks of the template being rendered, as attributes."""

    __slots__ = ("_find",)

    def __init__(self, find: Callable[[str], BlockReference | None]) -> None:
        self._find = find

    def __getitem__(self, name: str) -> BlockReference:
        reference = self._find(name)
        if reference is None:
            raise KeyError(name)
        return reference


class TemplateModule:
    """An imported template: what it sets at its top level."""

    def __init__(self, exports: Mapping[str, Any]) -> None:
        self.__dict__.update(exports)
