"""Recursion without Python's stack: a step yields the steps it waits for."""

from collections.abc import Generator
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

Steps: TypeAlias = Generator["Steps[Any]", Any, T]


def finish(steps: Steps[T]) -> T:
    """Runs a step and returns its result; only memory limits the depth."""
    stack: list[Steps[Any]] = [steps]
    value: Any = None
    while True:
        try:
            waiting = stack[-1].send(value)
        except StopIteration as stop:
            stack.pop()
            value = stop.value
            if not stack:
                result: T = value
                return result
        else:
            stack.append(waiting)
            value = None
