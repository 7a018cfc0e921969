"""Callables that record when they are called, and a form of values in which order and sharing can be compared."""

import itertools
import math
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

_PREFIX = "fgc_recorded"
_numbers = itertools.count()


def reset() -> None:
    """Begin to count constructions anew."""
    global _numbers
    _numbers = itertools.count()


class Recorded:
    """An object that knows its number and arguments, and on which every operation makes another one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.number, self.args, self.kwargs = next(_numbers), args, kwargs

    def __repr__(self) -> str:
        return f"<{type(self).__qualname__} {self.number}>"

    @classmethod
    def make(cls, *args: Any, **kwargs: Any) -> "Recorded":
        return cls("made", *args, **kwargs)

    def __getattr__(self, name: str) -> "Recorded":
        if name.startswith("__"):
            raise AttributeError(name)
        return Recorded("attribute", name, self)

    __iter__ = None  # without it `list()` would ask for items without end

    def __getitem__(self, index: Any) -> "Recorded":
        return Recorded("item", self, index)

    def __call__(self, *args: Any, **kwargs: Any) -> "Recorded":
        return Recorded("called", self, *args, **kwargs)

    def items(self) -> "Recorded":
        return Recorded("items", self)

    def __contains__(self, item: Any) -> bool:
        Recorded("contains")
        return True

    def __bool__(self) -> bool:
        Recorded("bool")
        return False

    def __neg__(self) -> "Recorded":
        return Recorded("neg", self)

    def __add__(self, other: Any) -> "Recorded":
        return Recorded("add", self, other)

    def __matmul__(self, other: Any) -> "Recorded":
        return Recorded("matmul", self, other)

    def __lt__(self, other: Any) -> "Recorded":  # type: ignore[override]
        return Recorded("lt", self, other)


def none(*args: Any, **kwargs: Any) -> None:
    next(_numbers)


def twice(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Call what can be called two times."""
    return [function(*args, **kwargs), function(*args, **kwargs)] if callable(function) else Recorded(function)


def install() -> list[str]:
    """Make modules in which names repeat, clash with Python's and with each other; return symbols in them."""
    symbols: list[str] = []
    for module_name in ("alpha", "alpha.beta", "gamma", "torch", "odd-name", "time"):
        module = ModuleType(f"{_PREFIX}.{module_name}")
        for name in ("Model", "AdamW", "lambda", "print", "model", "partial", "Any", "os", "main", "args", "l"):
            kind = type(name, (Recorded,), {"__module__": module.__name__, "Inner": type("Inner", (Recorded,), {})})
            setattr(module, name, kind)
            symbols.append(f"{module.__name__}:{name}")
        module.__path__ = []
        sys.modules[module.__name__] = module
        module.none, module.twice = none, twice  # type: ignore[attr-defined]
        symbols += [f"{module.__name__}:{name}" for name in ("Model.make", "Model.Inner", "none", "twice")]
    package = ModuleType(_PREFIX)
    package.__path__ = []
    sys.modules[_PREFIX] = package
    for name, module in [*sys.modules.items()]:
        parent, _, child = name.rpartition(".")
        if parent.startswith(_PREFIX):
            setattr(sys.modules[parent], child, module)
    return symbols


def canonical(value: Any, name_of: dict[int, int], callables: list[Callable[..., Any]]) -> Any:
    """Plain data that is equal if values, numbers and sharing are; callables are collected to be tried."""
    return list(_canonical(value, name_of, callables))


def _canonical(root: Any, name_of: dict[int, int], callables: list[Callable[..., Any]]) -> Iterator[Any]:
    """One token after the other, without recursion."""
    stack = [root]
    while stack:
        value = stack.pop()
        match value:
            case None | bool() | int() | str():
                yield (type(value).__name__, value)
            case float():
                yield ("float", "nan" if math.isnan(value) else value.hex())
            case list() | dict() | tuple() | Recorded():
                if not isinstance(value, tuple) and id(value) in name_of:
                    yield ("again", name_of[id(value)])
                    continue
                name_of[id(value)] = len(name_of)
                yield from _open(value, stack)
            case _ if callable(value):
                callables.append(value)
                yield "callable"
            case _:
                yield (type(value).__name__,)
                stack.extend(reversed(list(value)) if hasattr(value, "__iter__") else [])


def _open(value: Any, stack: list[Any]) -> Iterator[Any]:
    match value:
        case dict():
            yield ("dict", len(value))
            stack.extend(part for pair in reversed(value.items()) for part in reversed(pair))
        case Recorded():
            kind = type(value)
            yield ("object", f"{kind.__module__}.{kind.__qualname__}", value.number)
            stack.extend([value.kwargs, value.args])
        case _:
            yield (type(value).__name__, len(value))
            stack.extend(reversed(value))
