"""Answers what is asked of a name: what it is, where it is defined, who mentions it, another name for it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from fgc import ide
from fgc.lsp.server import TemplateServer, answering

_log = logging.getLogger("fgc.lsp")
_log_of_requests = logging.getLogger("pygls.protocol.json_rpc")


def add_names(server: TemplateServer) -> None:
    """Adds what is asked of a name."""
    _log_of_requests.addFilter(_is_no_refusal)

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    @answering
    def hover(server: TemplateServer, params: types.HoverParams) -> types.Hover | None:
        place = server.at(params.text_document.uri, params.position)
        found = None if place is None else ide.hover(server.editor, *place)
        if place is None or found is None:
            return None
        content = types.MarkupContent(types.MarkupKind.Markdown, found.markdown)
        is_here = found.span.start <= place[1] <= found.span.end  # a client hides what is about another place
        return types.Hover(content, server.converter.positions.range(found.span) if is_here else None)

    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    @answering
    def definition(server: TemplateServer, params: types.DefinitionParams) -> list[types.Location] | None:
        place = server.at(params.text_document.uri, params.position)
        return None if place is None else [*map(server.converter.location, ide.definitions(server.editor, *place))]

    @server.feature(types.TEXT_DOCUMENT_REFERENCES)
    @answering
    def references(server: TemplateServer, params: types.ReferenceParams) -> list[types.Location] | None:
        place = server.at(params.text_document.uri, params.position)
        if place is None:
            return None
        found = ide.references(server.editor, *place)
        wanted = [mark for mark in found if params.context.include_declaration or not mark.is_definition]
        return [server.converter.location(mark.span) for mark in wanted]

    @server.feature(types.TEXT_DOCUMENT_IMPLEMENTATION)
    @answering
    def implementation(server: TemplateServer, params: types.ImplementationParams) -> list[types.Location] | None:
        place = server.at(params.text_document.uri, params.position)
        return None if place is None else [*map(server.converter.location, ide.implementations(server.editor, *place))]

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
    @answering
    def highlight(
        server: TemplateServer, params: types.DocumentHighlightParams
    ) -> list[types.DocumentHighlight] | None:
        place = server.at(params.text_document.uri, params.position)
        if place is None:
            return None
        spans = [m.span for m in ide.references(server.editor, *place) if ide.file_of(m.span) == place[0]]
        return [types.DocumentHighlight(server.converter.positions.range(span)) for span in spans]

    @server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
    def prepare(server: TemplateServer, params: types.PrepareRenameParams) -> types.Range | None:
        place = server.at(params.text_document.uri, params.position)
        with _refusals():
            return None if place is None else server.converter.positions.range(ide.can_rename(server.editor, *place))

    @server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    def rename(server: TemplateServer, params: types.RenameParams) -> types.WorkspaceEdit | None:
        place = server.at(params.text_document.uri, params.position)
        with _refusals():
            found = None if place is None else ide.rename(server.editor, *place, params.new_name)
        return None if found is None else server.converter.renaming(found)


@contextmanager
def _refusals() -> Iterator[None]:
    """Tells a client why a name cannot be changed; hides a bug."""
    try:
        yield
    except ide.CannotRename as reason:
        raise JsonRpcInvalidParams(str(reason)) from None
    except Exception:
        _log.exception("rename failed")
        raise JsonRpcInvalidParams("this name cannot be changed because of a bug in fgc; see its log") from None


def _is_no_refusal(record: logging.LogRecord) -> bool:
    """Returns False for what pygls logs of a refusal: the client has its reason, and nothing is wrong."""
    return record.exc_info is None or not isinstance(record.exc_info[1], JsonRpcInvalidParams)
