"""Says what reads better under a name of its own than in place."""

from fgc.emit.expression import DictDisplay, Expression, Invoke, Lambda, ListDisplay, TupleDisplay
from fgc.emit.measure import call_depth, depth, is_atom, is_plain_data, line_count, width

_MAX_DEPTH = 8  # brackets; Python's own parser ends at 200
_MAX_CALL_DEPTH = 3
_CALL_WIDTH = 66  # a call that fits on a line of its own as an argument
_ITEM_WIDTH = 150  # an item of a list begins its own line anyway; naming one would name all before it
_DISPLAY_WIDTH = 160
_FUNCTION_WIDTH = 60
_DATA_LINES = 14
_REPEAT_WIDTH = 44  # what is short enough to be written twice


def reads_better_named(value: Expression, *, is_item: bool = False) -> bool:
    """Returns whether an argument or an item deserves a variable."""
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
    """Returns whether what the author gave a name is a step of its own: a call with arguments, or a list of calls."""
    match value:
        case Invoke():
            return bool(value.arguments)
        case ListDisplay() | TupleDisplay() | DictDisplay():
            return not is_plain_data(value)
        case _:
            return False


def reads_better_shared(value: Expression) -> bool:
    """Returns whether something that is needed in several places is written once, as a variable or a function."""
    return width(value) > _REPEAT_WIDTH or depth(value) > _MAX_CALL_DEPTH
