"""The options that a configuration declares to those of its program, and to those whose values templates need."""

from collections.abc import Iterable

from fgc.emit.options import Closed, Option
from fgc.ir import Graph
from fgc.pipeline.dynamic import dynamic_arguments
from fgc.text import Need, arguments_in


def declared_options(graph: Graph) -> list[Option]:
    """Every option of a configuration."""
    return [
        Option(
            variable=argument.variable,
            names=argument.names,
            type=argument.type,
            choices=argument.choices,
            help=argument.help,
            action=argument.action,
            metavar=argument.metavar,
            takes_many=argument.nargs is not None or argument.action in ("append", "append_const", "extend"),
        )
        for argument in dynamic_arguments(graph).value
    ]


def closed_options(declared: Iterable[Option], needs: Iterable[Need]) -> list[Closed]:
    """Options whose values had to be known to make the text: the first place and reason for each."""
    first: dict[str, Need] = {}
    for need in needs:
        for argument in arguments_in(need.expression):
            first.setdefault(argument.name, need)
    return [
        Closed(option, first[option.variable].reason, first[option.variable].span)
        for option in declared
        if option.variable in first
    ]
