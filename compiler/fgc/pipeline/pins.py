"""What had to be known when a configuration was compiled: values of this machine are findings, and pins of a build."""

from collections.abc import Iterable

from fgc.diagnostics import Diagnostic, Severity
from fgc.text import DeferredCall, FromOutside, Need, expression_text

_HELP = "printed, or joined with other text, it stays an expression that the program evaluates"
_DRAWN = ("lipsum", "random")


def pins_of(needs: Iterable[Need]) -> list[Need]:
    """The values of this machine among what was needed, each once."""
    return list(dict.fromkeys(need for need in needs if not isinstance(need.expression, FromOutside)))


def pin_findings(needs: Iterable[Need]) -> list[Diagnostic]:
    """A warning at each place that pins a value."""
    return [_finding(need) for need in pins_of(needs)]


def _finding(need: Need) -> Diagnostic:
    name = expression_text(need.expression)
    if isinstance(need.expression, DeferredCall) and need.expression.function in _DRAWN:
        message = f"`{name}` has another value at every compilation; the program keeps that of its build"
        return Diagnostic("FGC216", message, need.span, Severity.WARNING, "write the value down")
    shown = f"to `{need.value}`, its value here" if need.value else "to what it is here"
    message = f"`{name}` is pinned {shown}, because {need.reason}"
    return Diagnostic("FGC216", message, need.span, Severity.WARNING, _HELP)
