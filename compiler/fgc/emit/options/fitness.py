"""Decides why an option must be closed: running the program with a value would differ from building with it."""

import keyword
from collections.abc import Iterator, Sequence

from fgc.emit.options.records import TEXT_TYPES, Leaf
from fgc.ir import Option, Scalar
from fgc.text import (
    ARITHMETIC,
    OF_ONE_NUMBER,
    OF_SEVERAL_NUMBERS,
    TEXT,
    DeferredArgument,
    DeferredCall,
    DeferredExpression,
    DeferredOperation,
    DeferredOption,
    DeferredPart,
    Span,
    arguments_in,
    expression_text,
    inner_parts,
    results_in,
)
from fgc.yaml.forms import is_text_in
from fgc.yaml.scalars import scalar_type

_TAKEN = frozenset({"-h", "--help", "--resume", "--set"})
_ACTIONS = ("store", "store_const", "store_true", "store_false", "count")
_OF_NUMBERS = ARITHMETIC | OF_ONE_NUMBER | OF_SEVERAL_NUMBERS


def unfit(option: Option, leaves: Sequence[Leaf]) -> tuple[str, Span | None] | None:
    """Returns the reason to close an option with these mentions, and its place; None if it can be offered."""
    if not leaves:
        return "no value that the program constructs uses it", None
    first = leaves[0].argument
    place = leaves[0].origin.span
    if option.action not in _ACTIONS or option.nargs not in (None, "?"):
        return "it takes several values", place
    if keyword.iskeyword(option.variable):
        return f"`{option.variable}` is a Python keyword", place
    if taken := _TAKEN.intersection(option.names):
        return f"`{min(taken)}` is an option of every program", place
    for leaf in leaves[1:]:
        if shown(default_of(leaf.argument)) != shown(default_of(first)):
            return f"it has two defaults: {shown(default_of(first))} and {shown(default_of(leaf.argument))}", (
                leaf.origin.span
            )
    is_text = isinstance(first, DeferredOption) or isinstance(first.value, str)
    if is_text and option.kind not in TEXT_TYPES:
        return f"its default {shown(default_of(first))} is not of type {option.kind}", place
    if option.nargs == "?" and option.const is None and not isinstance(default_of(first), Scalar):
        return f"without a value, it is its default, {shown(default_of(first))}", place
    if option.action == "count" and (isinstance(first, DeferredOption) or first.value not in (0, None)):
        return f"it is counted from 0, and its default is {shown(default_of(first))}", place
    for leaf in leaves:
        if (reason := _misused(option, leaf)) is not None:
            return reason, leaf.origin.span
    if (reason := _misread(option, leaves)) is not None:
        return reason, place
    if not is_read_by_yaml(option, leaves) and not _is_exact(option, leaves):
        write = f"{{{{ {option.variable} | toyaml }}}}"
        return f"YAML may read a text as something else: write `{write}`", place
    return None


def default_of(argument: DeferredArgument | DeferredOption) -> Scalar | DeferredExpression:
    """Returns the value of a variable that is not given."""
    if isinstance(argument, DeferredOption) or argument.default is not None:
        return argument.default
    return argument.value


def shown(default: Scalar | DeferredExpression) -> str:
    """Returns a default as it would be written in a template."""
    if isinstance(default, Scalar):
        return repr(default)
    return expression_text(default)


def _misused(option: Option, leaf: Leaf) -> str | None:
    """Returns why an operation gives another result at run time than in a template, or None."""
    is_number = option.kind in ("int", "float")
    for part in _operations(leaf.expression):
        operator = part.function if isinstance(part, DeferredCall) else part.operator
        operands = inner_parts(part)
        if operator in (TEXT, "concat"):
            if any(_may_be_float(operand, option) for operand in operands):
                return "it is a part of a text, in which a number such as 1e-05 is written as 1.0e-05"
        elif all(leaf.argument not in results_in(operand) for operand in operands):
            continue
        elif operator in _OF_NUMBERS:
            if not is_number:
                return f"`{operator}` computes with it, but it is not a number"
        elif (isinstance(part, DeferredCall) or part.is_function) and option.kind not in TEXT_TYPES:
            return f"`{operator}` takes it, but it is not a text"
    return None


def _operations(expression: DeferredPart) -> Iterator[DeferredOperation | DeferredCall]:
    if isinstance(expression, DeferredOperation | DeferredCall):
        yield expression
    for part in inner_parts(expression):
        yield from _operations(part)


def _may_be_float(part: DeferredPart, option: Option) -> bool:
    """Returns True if a part that depends on an option can be a float."""
    match part:
        case DeferredArgument(name=name, default=default):
            is_own = name == option.variable and option.kind == "float"
            return is_own or (default is not None and _may_be_float(default, option))
        case DeferredOperation(operator="if", operands=(then, _, other)):
            return _may_be_float(then, option) or _may_be_float(other, option)
        case DeferredOperation(operator=operator, operands=operands) if operator in _OF_NUMBERS:
            is_mentioned = any(item.name == option.variable for item in arguments_in(part))
            is_float = isinstance(part.value, float) or any(_may_be_float(operand, option) for operand in operands)
            return is_mentioned and operator != "int" and (is_float or operator == "**")
        case _:
            return False


def is_read_by_yaml(option: Option, leaves: Sequence[Leaf]) -> bool:
    """Returns True if the option's text makes up whole scalars without quotes, so that YAML decides its type."""
    if option.kind != "str" or option.words or _is_exact(option, leaves):
        return False
    return all(_is_bare(leaf) for leaf in leaves)


def forms_of(option: Option, leaves: Sequence[Leaf]) -> tuple[str, ...]:
    """Returns the texts that a word is put into, as they are written, unless every word that may be given is known."""
    if option.kind not in TEXT_TYPES or option.words:
        return ()
    return tuple(dict.fromkeys(form for leaf in leaves for form in leaf.forms))


def _misread(option: Option, leaves: Sequence[Leaf]) -> str | None:
    """Returns why one of the words that may be given cannot stand where it is printed."""
    forms = {form for leaf in leaves for form in leaf.forms} - {"{}", "[{}]"}
    for word in (word for word in option.words if isinstance(word, str)):
        for form in sorted(forms):
            if not is_text_in(form, word):
                return (
                    f"YAML reads {word!r} as something else in `{form}`: write `{{{{ {option.variable} | toyaml }}}}`"
                )
    return None


def _is_bare(leaf: Leaf) -> bool:
    """Returns True if the option is only returned by expressions, and never computed with."""
    results = [part for part in results_in(leaf.expression) if part == leaf.argument]
    return not leaf.argument.is_quoted and len(results) == list(arguments_in(leaf.expression)).count(leaf.argument)


def _is_exact(option: Option, leaves: Sequence[Leaf]) -> bool:
    """Returns True if YAML reads every possible text as that text."""
    if option.kind != "str":
        return True  # an absolute path never looks like a number
    read = [leaf.argument for leaf in leaves if leaf.argument in results_in(leaf.expression)]
    if all(argument.is_quoted for argument in read):
        return True
    return bool(option.words) and all(
        isinstance(word, str) and word.isidentifier() and scalar_type(word, True) == "str" for word in option.words
    )
