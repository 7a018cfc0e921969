"""How a failing expression ends the statement that holds it, and no more."""

from fgc.diagnostics import Diagnostic


class EvaluationError(Exception):
    """An expression failed; the finding says where and why."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class Refusal(Exception):
    """A template refuses its configuration, in its own words, by `raise` or `assert`."""


class BrokenValue(Exception):
    """A value is used whose own expression failed before: said once, at that expression."""


class Broken:
    """The value of a variable whose expression failed."""

    __slots__ = ()


class Fatal(Exception):
    """Nothing sensible can follow: a bound is exceeded or a cycle found. The finding says which."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic
