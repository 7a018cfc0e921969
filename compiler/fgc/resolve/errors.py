"""Exceptions by which a failing expression ends only its own statement."""

from fgc.diagnostics import Diagnostic


class EvaluationError(Exception):
    """An expression failed; the finding says where and why."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class Refusal(Exception):
    """A template refuses its configuration, in its own words, by `raise` or `assert`."""


class BrokenValue(Exception):
    """A value is used whose expression has failed and was reported there."""


class Broken:
    """The value of a variable whose expression failed."""

    __slots__ = ()


class Fatal(Exception):
    """Rendering cannot continue: a limit was exceeded or a cycle found. The finding says which."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic
