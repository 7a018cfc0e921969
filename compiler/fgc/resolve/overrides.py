"""Finds blocks of a child that no ancestor defines, which therefore override nothing (FGC204)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from msgspec import Struct

from fgc.diagnostics import Diagnostic, Related, nearest
from fgc.diagnostics.nearest import misspelt
from fgc.resolve.macros import listed
from fgc.resolve.scope import Context
from fgc.syntax import ast
from fgc.text import Source


class Inclusion(Struct, frozen=True):
    """An included template with its ancestors, the youngest first; `block` holds the `include`."""

    chain: tuple[ast.Template, ...]
    block: str | None


class UnknownOverride(Struct, frozen=True):
    """A block that overrides nothing. `known` are the blocks it could override; `younger` templates extend its own."""

    block: ast.Block
    template: ast.Template
    younger: Sequence[ast.Template]
    known: Mapping[str, ast.Block]

    def left_alone(self) -> Iterator[tuple[str, Source]]:
        """Yields the name of the block that was meant, with each younger file that overrides that block too."""
        meant = misspelt(self.block.name, (name for name in self.known if name not in self.template.blocks))
        if meant is not None:
            yield from ((meant, template.source) for template in self.younger if meant in template.blocks)


def check_overrides(context: Context, included: Iterable[Inclusion]) -> Iterator[Diagnostic]:
    """Yields FGC204 for each outermost block of a child that overrides nothing.

    `included` are the templates that were included: their blocks cannot be overridden from here, which the help says.
    """
    unknown = list(unknown_overrides(context))
    if not unknown:
        return
    elsewhere: dict[str, tuple[ast.Block, Inclusion]] = {}
    for inclusion in included:
        for owner in reversed(inclusion.chain):  # the oldest definition says what the block is
            for name, found in owner.blocks.items():
                elsewhere.setdefault(name, (found, inclusion))
    for override in unknown:
        yield _overrides_nothing(override.block, override.known, elsewhere)


def unknown_overrides(context: Context) -> Iterator[UnknownOverride]:
    """Yields the blocks that override nothing, except where a mistake may hide a block of an ancestor."""
    for number, template in enumerate(context.chain[:-1]):
        ancestors = context.chain[number + 1 :]
        if context.may_lack_blocks(number + 1):
            continue
        blocks = [block for block in _blocks_of(template) if not any(block.name in a.blocks for a in ancestors)]
        if blocks:
            known = {name: block for ancestor in reversed(ancestors) for name, block in ancestor.blocks.items()}
            yield from (UnknownOverride(block, template, context.chain[:number], known) for block in blocks)


@lru_cache(maxsize=4096)
def _blocks_of(template: ast.Template) -> tuple[ast.Block, ...]:
    """The blocks of a template that stand in no other; templates are compared by identity."""
    return tuple(_outer_blocks(template.body))


@lru_cache(maxsize=4096)
def has_extends(template: ast.Template) -> bool:
    """Returns True if a template may name a parent: it is not known to be the oldest."""
    stack: list[ast.Statement] = list(template.body)
    while stack:
        match stack.pop():
            case ast.Extends():
                return True
            case ast.If(branches=branches, otherwise=otherwise):
                stack += [*(statement for _, body in branches for statement in body), *otherwise]
            case _:
                pass
    return False


def _outer_blocks(body: Iterable[ast.Statement]) -> Iterator[ast.Block]:
    """Blocks that stand in no other block."""
    for statement in body:
        match statement:
            case ast.Block():
                yield statement
            case ast.If():
                for _, branch in statement.branches:
                    yield from _outer_blocks(branch)
                yield from _outer_blocks(statement.otherwise)
            case ast.For() | ast.With() | ast.FilterBlock() | ast.SetBlock() | ast.Autoescape() | ast.CallBlock():
                yield from _outer_blocks(statement.body)
            case _:
                pass


def _overrides_nothing(
    block: ast.Block, known: Mapping[str, ast.Block], elsewhere: Mapping[str, tuple[ast.Block, Inclusion]]
) -> Diagnostic:
    message = f"block `{block.name}` overrides nothing"
    match = nearest(block.name, known)
    related: tuple[Related, ...] = ()
    if block.name in elsewhere and elsewhere[block.name][0] is not block:
        owner_block, inclusion = elsewhere[block.name]
        related = (Related(owner_block.name_span, f"`{block.name}` is a block of this included template"),)
        help = _where_to_write(block, inclusion)
    elif match is not None:
        related = (Related(known[match].name_span, f"`{match}` is defined here"),)
        help = f"did you mean `{match}`?"
    else:
        help = _unknown(block, known)
    return Diagnostic("FGC204", message, block.name_span, help=help, related=related)


def _where_to_write(block: ast.Block, inclusion: Inclusion) -> str:
    """Says in which template the override belongs: an included one of the author's, or a new one."""
    included, name = inclusion.chain[0], block.name
    by = f"the block `{inclusion.block}` includes" if inclusion.block else "is included and not extended"
    if included.name_span is not None and included.source is block.span.source:
        line = included.name_span.first.line
        return f"write it below line {line}, in the template `{included.name}`, which {by}:\n[{name}]\n    == super()"
    lines = [f"#---- my_{name} ----", f'-- extends "{included.name}"', f"[{name}]", "    == super()"]
    if inclusion.block:
        lines = [f"[{inclusion.block}]", f'    -- include "my_{name}"', *lines]
    told = f"`{name}` belongs to `{included.name}`, which {by}. Instead, include an inline template that extends it:"
    return "\n".join([told, *lines])


def _unknown(block: ast.Block, known: Mapping[str, ast.Block]) -> str:
    blocks = f"the ancestors have {listed(known)}" if known else "the ancestors have no blocks"
    is_header = block.span.source.text[block.name_span.start - 1 : block.name_span.start] == "["
    as_list = f"; to write a YAML list, put it after a key, or write `- {block.name}`" if is_header else ""
    return blocks + as_list
