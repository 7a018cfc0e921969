"""Runs foreign code for an expression; its exceptions and oversized results become findings."""

from collections.abc import Callable
from typing import Any

from jinja2.exceptions import SecurityError, UndefinedError
from msgspec.structs import replace

from fgc.diagnostics import Diagnostic
from fgc.resolve.environment import PlacedUndefined, placement_of
from fgc.resolve.errors import BrokenValue, EvaluationError, Fatal, Refusal
from fgc.resolve.failures import forbidden, undefined_finding, what_fails, wrong_arguments
from fgc.syntax import ast
from fgc.text import Span

_SMALLER = "a configuration needs no value of this size: compute it in the program"


def guarded(
    span: Span,
    compute: Callable[[], Any],
    operands: list[Any] | None = None,
    complain: Callable[[], Diagnostic | None] | None = None,
) -> Any:
    """Runs foreign code; an exception becomes a finding at `span`, or at an undefined operand.

    `complain` may return a better finding about operands or arguments of a wrong type.
    """
    try:
        return compute()
    except (EvaluationError, BrokenValue, Fatal):
        raise
    except Refusal as refusal:
        help = "the template asks for other values; its author wrote this message"
        raise EvaluationError(Diagnostic("FGC230", str(refusal), span, help=help)) from None
    except UndefinedError as error:
        raise EvaluationError(_undefined_operand(error, operands or [], span)) from None
    except SecurityError as error:
        raise EvaluationError(forbidden(str(error), span)) from None
    except TypeError as error:
        found = complain() if complain else None
        raise EvaluationError(found or Diagnostic("FGC206", what_fails(error), span)) from None
    except OverflowError as error:
        is_range = str(error).startswith("Range too big")
        message = "a range has at most 100,000 items" if is_range else what_fails(error)
        raise EvaluationError(Diagnostic("FGC208" if is_range else "FGC206", message, span)) from None
    except MemoryError:
        raise EvaluationError(too_large(span)) from None
    except Exception as error:  # whatever a filter or a method raises is the template's mistake
        raise EvaluationError(Diagnostic("FGC206", what_fails(error), span)) from None


def _undefined_operand(error: UndefinedError, operands: list[Any], span: Span) -> Diagnostic:
    undefined = next((o for o in operands if isinstance(o, PlacedUndefined) and placement_of(o).place), None)
    if undefined is not None:
        return undefined_finding(undefined, span)
    if "unsafe" in str(error):
        return forbidden(str(error), span)
    return Diagnostic("FGC203", str(error), span)


def argument_complaint(
    what: str, function: Callable[..., Any], filter: ast.Filter, given: tuple[int, dict[str, Any]]
) -> Diagnostic | None:
    """The finding that a filter's arguments do not fit. It is given its value, and perhaps a context, first."""
    skipped = 1 + (getattr(function, "jinja_pass_arg", None) is not None)
    found = wrong_arguments(what, function, skipped, filter.arguments, given)
    if found is not None and found.span == filter.arguments.span:
        return replace(found, span=filter.name_span)
    return found


def too_large(span: Span) -> Diagnostic:
    return Diagnostic("FGC208", "the result of this expression is too large", span, help=_SMALLER)
