"""Helps to write: completion, fixes, layout, hints, lenses."""

from itertools import count

from lsprotocol import types

from fgc import ide
from fgc.format import format_source
from fgc.lsp.server import TemplateServer, answering
from fgc.text import Span

_TRIGGERS = ["!", ":", ".", "*", "[", '"', "'", " ", "|", "/"]


def add_writing(server: TemplateServer) -> None:
    """Adds what helps to write."""

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=_TRIGGERS))
    @answering
    def completion(server: TemplateServer, params: types.CompletionParams) -> types.CompletionList | None:
        place = server.at(params.text_document.uri, params.position)
        found = [] if place is None else ide.complete(server.editor, *place)
        return types.CompletionList(False, [*map(server.converter.completion, found, count())])

    fix_all = types.CodeActionKind.SourceFixAll
    kinds = types.CodeActionOptions([types.CodeActionKind.QuickFix, fix_all])

    @server.feature(types.TEXT_DOCUMENT_CODE_ACTION, kinds)
    @answering
    def code_action(server: TemplateServer, params: types.CodeActionParams) -> list[types.CodeAction] | None:
        start = server.at(params.text_document.uri, params.range.start)
        end = server.at(params.text_document.uri, params.range.end)
        if start is None or end is None:
            return None
        findings = server.editor.findings(start[0]).get(start[0], [])
        only = params.context.only
        wants_all = only is not None and any(_is_of(fix_all, kind) for kind in only)
        found = ide.actions(findings, start[0], start[1], end[1], fixes_one=wants_all)
        actions = [server.converter.action(action, params.text_document.uri) for action in found]
        return [action for action in actions if only is None or any(_is_of(action.kind, kind) for kind in only)]

    @server.feature(types.TEXT_DOCUMENT_FORMATTING)
    @answering
    def formatting(server: TemplateServer, params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
        path = server.path_of(params.text_document.uri)
        if path is None or not path.endswith((".yaml", ".yml")):
            return None
        source = server.editor.source(path)
        outcome = format_source(source)
        if outcome.diagnostics or outcome.value == source.text:
            return []
        whole = server.converter.positions.range(Span(source, 0, len(source.text)))
        return [types.TextEdit(whole, outcome.value)]

    @server.feature(types.TEXT_DOCUMENT_INLAY_HINT)
    @answering
    def inlay_hint(server: TemplateServer, params: types.InlayHintParams) -> list[types.InlayHint] | None:
        start = server.at(params.text_document.uri, params.range.start)
        end = server.at(params.text_document.uri, params.range.end)
        if start is None or end is None:
            return None
        source = server.editor.source(start[0])
        found = ide.hints(server.editor, start[0], start[1], end[1])
        place = server.converter.positions.position
        return [
            types.InlayHint(
                place(source, hint.offset), hint.label, padding_left=not hint.is_before, padding_right=hint.is_before
            )
            for hint in found
        ]

    @server.feature(types.TEXT_DOCUMENT_CODE_LENS)
    @answering
    def code_lens(server: TemplateServer, params: types.CodeLensParams) -> list[types.CodeLens] | None:
        path = server.path_of(params.text_document.uri)
        if path is None:
            return None
        return [_lens(server, path, lens) for lens in ide.lenses(server.editor, path)]


def _is_of(kind: types.CodeActionKind | str | None, wanted: types.CodeActionKind | str) -> bool:
    """Returns True if a kind is the one that is wanted, or one below it."""
    return f"{_word(kind or '')}.".startswith(f"{_word(wanted)}.")


def _word(kind: types.CodeActionKind | str) -> str:
    return kind.value if isinstance(kind, types.CodeActionKind) else kind


def _lens(server: TemplateServer, path: str, lens: ide.Lens) -> types.CodeLens:
    place = server.converter.positions.range(lens.span)
    if lens.command is not None:
        return types.CodeLens(place, types.Command(lens.title, "fgc.run", arguments=[path, lens.command]))
    locations = [server.converter.location(span) for span in lens.places]
    arguments = [server.uris.uri_of(path), place.start, locations]
    return types.CodeLens(place, types.Command(lens.title, "fgc.showPlaces", arguments=arguments))
