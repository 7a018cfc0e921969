"""The options that a configuration declares to those of its program, and to those whose values templates need."""

from collections.abc import Container, Iterable

from fgc.emit.options import Closed
from fgc.ir import Graph, Option
from fgc.pipeline.dynamic import dynamic_arguments
from fgc.text import Need, arguments_in


def declared_options(graph: Graph) -> list[Option]:
    """Every option of a configuration."""
    found = dynamic_arguments(graph).value
    return [Option(*(getattr(argument, name) for name in Option.__struct_fields__)) for argument in found]


def closed_options(
    declared: Iterable[Option], needs: Iterable[Need], asked: Container[str] | None = None
) -> list[Closed]:
    """Options whose values had to be known to make the text: the first place and reason for each.

    `asked` are the names that templates read, if they are known: an option of another name has no effect.
    """
    first: dict[str, Need] = {}
    for need in needs:
        for argument in arguments_in(need.expression):
            first.setdefault(argument.name, need)
    found = []
    for option in declared:
        if option.variable in first:
            found.append(Closed(option, first[option.variable].reason, first[option.variable].span))
        elif asked is not None and option.variable not in asked:
            found.append(Closed(option, "no template of this configuration reads it"))
    return found
