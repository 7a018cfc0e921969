"""Decides which expressions read better as a variable than in place."""

from fgc.emit.expression import DictDisplay, Expression, Invoke, Lambda, ListDisplay, TupleDisplay
from fgc.emit.measure import call_depth, depth, is_atom, is_plain_data, line_count, width

_MAX_DEPTH = 8  # brackets; Python's own parser ends at 200
_MAX_CALL_DEPTH = 3
_CALL_WIDTH = 66  # columns of a call that fits on its own line as an argument
_ITEM_WIDTH = 150  # columns: an item of a list has its own line anyway, and naming one would name all items before it
_DISPLAY_WIDTH = 160
_FUNCTION_WIDTH = 60
_DATA_LINES = 14
_REPEAT_WIDTH = 44  # columns of an expression that is short enough to be repeated


def reads_better_named(value: Expression, *, is_item: bool = False) -> bool:
    """Returns True if an argument or an item deserves a variable."""
    if is_atom(value):
        return False
    if depth(value) > _MAX_DEPTH:
        return True
    match value:
        case Lambda():
            return width(value) > _FUNCTION_WIDTH
        case ListDisplay() | TupleDisplay() | DictDisplay():
            return line_count(value) > _DATA_LINES if is_plain_data(value) else width(value) > _DISPLAY_WIDTH
        case Invoke():
            return width(value) > (_ITEM_WIDTH if is_item else _CALL_WIDTH) or call_depth(value) > _MAX_CALL_DEPTH
        case _:
            return width(value) > _CALL_WIDTH


def is_step(value: Expression) -> bool:
    """Returns True if a value that the author named is a separate step: a call with arguments, or a list of calls."""
    match value:
        case Invoke():
            return bool(value.arguments)
        case ListDisplay() | TupleDisplay() | DictDisplay():
            return not is_plain_data(value)
        case _:
            return False


def reads_better_shared(value: Expression) -> bool:
    """Returns True if a value used in several places should be written once, as a variable or a function."""
    return width(value) > _REPEAT_WIDTH or depth(value) > _MAX_CALL_DEPTH
