"""Defines what templates call by the language's own means: macros, `super`, `self` and imported templates."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fgc.diagnostics import Diagnostic, Related, did_you_mean
from fgc.resolve.environment import PlacedUndefined
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

    @property
    def arguments(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self._parameters)

    @property
    def catch_kwargs(self) -> bool:
        return "kwargs" in self._mentions

    @property
    def catch_varargs(self) -> bool:
        return "varargs" in self._mentions

    @property
    def caller(self) -> bool:
        return "caller" in self._mentions

    def __call__(self, *args: Any, **kwargs: Any) -> MappedText:
        return self._call_at(self._span, list(args), kwargs)

    def _call_at(self, span: Span, args: list[Any], kwargs: dict[str, Any]) -> MappedText:
        names = self.arguments
        bound: dict[str, Any] = dict(zip(names, args, strict=False))
        extra = args[len(names) :]
        if extra and not self.catch_varargs:
            self._refuse(span, f"takes at most {len(names)} arguments, and {len(args)} are given")
        rest: dict[str, Any] = {}
        for name, value in kwargs.items():
            if name in bound:
                self._refuse(span, f"gets argument `{name}` twice")
            (bound if name in (*names, "caller") else rest)[name] = value
        if rest and not self.catch_kwargs:
            unknown = next(iter(rest))
            self._refuse(span, f"has no parameter `{unknown}`", did_you_mean(unknown, names))
        if "caller" in bound and not self.caller and "caller" not in names:
            self._refuse(span, "is called with a body, and never prints `caller()`")
        bound |= {"varargs": tuple(extra), "kwargs": rest}
        missing = tuple(parameter for parameter in self._parameters if parameter.name not in bound)
        return self._run(span, bound, missing)

    def _refuse(self, span: Span, message: str, help: str | None = None) -> None:
        related = (Related(self._span, "the macro is defined here"),)
        finding = Diagnostic("FGC206", f"macro `{self._name}` {message}", span, help=help, related=related)
        raise EvaluationError(finding)


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

    __slots__ = ("_find", "_names")

    def __init__(self, find: Callable[[str], BlockReference | None], names: Callable[[], list[str]]) -> None:
        self._find = find
        self._names = names

    def __getitem__(self, name: str) -> BlockReference:
        reference = self._find(name)
        if reference is None:
            raise KeyError(name)
        return reference


def block_names(reference: SelfReference) -> list[str]:
    """The blocks that `self` has."""
    return reference._names()


class TemplateModule:
    """An imported template: what it sets at its top level, as attributes. `is_partial`: a mistake may hide some."""

    __slots__ = ("__dict__", "_is_partial")

    def __init__(self, exports: Mapping[str, Any], is_partial: bool) -> None:
        self.__dict__.update(exports)
        self._is_partial = is_partial


def lacks_names(module: TemplateModule) -> bool:
    """Returns True if a mistake may hide names of an imported template."""
    return module._is_partial


def exports_of(module: TemplateModule) -> Mapping[str, Any]:
    """Returns what an imported template sets at its top level."""
    return vars(module)


def missing_argument(macro: str, span: Span, parameter: ast.Parameter, at: Span) -> PlacedUndefined:
    """The value of a parameter that a call at `at` leaves out: an error if it is used."""
    related = (Related(parameter.span, f"macro `{macro}` has it here, without a default"),)
    message = f"macro `{macro}` is called without its argument `{parameter.name}`"
    return PlacedUndefined(name=parameter.name, place=at, finding=Diagnostic("FGC203", message, at, related=related))


def no_caller(macro: str, span: Span, at: Span) -> PlacedUndefined:
    """The value of `caller` in a macro that no call block calls: an error if it is used."""
    related = (Related(span, "the macro is defined here"),)
    message = f"`caller` is undefined: macro `{macro}` is not called by a call block"
    help = f"write `-- call {macro}(...)` around the text to pass"
    finding = Diagnostic("FGC203", message, at, help=help, related=related)
    return PlacedUndefined(name="caller", place=at, finding=finding)


def listed(names: Iterable[str]) -> str:
    """The first names of many, for a help line."""
    ordered = [f"`{name}`" for name in sorted(names)]
    return ", ".join(ordered[:8]) + (", ..." if len(ordered) > 8 else "")
