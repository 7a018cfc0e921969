"""A compiled configuration to the program it stands for. Loads the emitter: import this only to build."""

import json
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from fgc.diagnostics import Outcome
from fgc.emit import EmitOptions, Program, emit_program, emit_script
from fgc.emit.places import Area, GeneratedPlace
from fgc.ir import Graph
from fgc.pipeline.annotations import variable_annotations
from fgc.pipeline.fractions import fractional
from fgc.pipeline.metadata import meta_text
from fgc.pipeline.options import closed_options, declared_options
from fgc.pipeline.surroundings import Surroundings
from fgc.pipeline.variables import with_given_variables
from fgc.text import Document, Piece, expression_text, text_with_values

_RUNNABLE_CLASS = "type.training_script"  # what it constructs is run, and not only constructed


def make_script(
    graph: Graph, target: str, surroundings: Surroundings, beside: Sequence[str] = ()
) -> Outcome[Program | None]:
    """The program that constructs `target` when it is started, and runs it if it is a training script.

    `beside` names packages that will lie beside the program. Options that the configuration declares are options of
    the program, unless templates need their values.
    """
    is_run = target == "main" and (meta_text(graph, "config_class") or "").startswith(_RUNNABLE_CLASS)
    declared = declared_options(graph)
    options = _options(graph, surroundings, "run" if is_run else None)
    closed = closed_options(declared, surroundings.needs, surroundings.asked)
    numbers = fractional(graph, surroundings.signatures)
    options = replace(options, declared=declared, closed=closed, beside=beside, numbers=numbers)
    return emit_script(with_given_variables(graph), target, options=options)


def make_module(graph: Graph, targets: Sequence[str], surroundings: Surroundings) -> Outcome[Program | None]:
    """A module whose function `construct` returns the targets."""
    return emit_program(graph, targets, options=_options(graph, surroundings, None))


def _options(graph: Graph, surroundings: Surroundings, run_method: str | None) -> EmitOptions:
    signatures = surroundings.signatures
    name, description = meta_text(graph, "config_name"), meta_text(graph, "config_description")
    summary = ": ".join(text for text in (name, description) if text).rstrip(".") + "."
    return EmitOptions(
        summary=summary if len(summary) > 1 else "Construct the objects of a configuration.",
        template=surroundings.template,
        run_method=run_method,
        read=surroundings.read,
        component_folders=surroundings.component_folders,
        workspace_root=surroundings.workspace_root,
        layout=surroundings.layout,
        annotations={} if signatures is None else variable_annotations(graph, signatures),
    )


class Resolved(Struct, frozen=True):
    """The YAML text of a configuration, and where each of its lines comes from."""

    text: str
    places: tuple[GeneratedPlace, ...]


def resolved_configuration(document: Document, template: str, settings: Mapping[str, str]) -> Resolved:
    """A configuration with run-time expressions as `${...}`: the same wherever it is built.

    `settings` were set by path when it was built, and stand above the text.
    """
    header = (
        f"# The configuration {template} with everything it inherits. `${{...}}` is known when the program runs.\n"
    ) + "".join(f"# --set {path}={json.dumps(text, ensure_ascii=False)}\n" for path, text in settings.items())
    pieces = [segment.piece for segment in document.segments]
    texts = [_as_written(piece) for piece in pieces]
    body = "".join(texts)
    text = header + body + ("" if body.endswith("\n") else "\n")
    return Resolved(text, tuple(_line_places(pieces, texts, header.count("\n") + 1)))


def _as_written(piece: Piece) -> str:
    expression = None if piece.deferred is None else text_with_values(piece.deferred)
    if expression is None or isinstance(expression, str):
        return piece.text
    return f"${{{expression_text(expression)}}}"


def _line_places(pieces: Sequence[Piece], texts: Sequence[str], line: int) -> Iterator[GeneratedPlace]:
    """For every line the place of the first character that is no space."""
    column, is_open = 1, True
    for piece, text in zip(pieces, texts, strict=True):
        for offset, character in enumerate(text):
            if character == "\n":
                line, column, is_open = line + 1, 1, True
                continue
            if is_open and character != " ":
                is_open = False
                origin = piece.part(offset, len(piece.text)).origin if piece.deferred is None else piece.origin
                yield GeneratedPlace(Area(line, column, line + 1, 1), origin, "")
            column += 1
