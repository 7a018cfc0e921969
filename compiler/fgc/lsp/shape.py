"""Answers what an editor asks of a whole file, and gives a client what it can show."""

from typing import Any

from lsprotocol import types

from fgc import ide
from fgc.diagnostics.pages import page_of
from fgc.lsp.server import TemplateServer, answering

_VIEWS: dict[str, ide.View] = {"text": "text", "graph": "graph", "program": "program"}


def add_shape(server: TemplateServer) -> None:
    """Adds what an editor asks of a whole file."""

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    @answering
    def symbols(server: TemplateServer, params: types.DocumentSymbolParams) -> list[types.DocumentSymbol] | None:
        path = server.path_of(params.text_document.uri)
        return None if path is None else [*map(server.converter.symbol, ide.symbols(server.editor, path))]

    @server.feature(types.WORKSPACE_SYMBOL)
    @answering
    def workspace(server: TemplateServer, params: types.WorkspaceSymbolParams) -> list[types.WorkspaceSymbol] | None:
        found = ide.workspace_symbols(server.editor, params.query)
        return [*map(server.converter.workspace_symbol, found)]

    @server.feature(types.TEXT_DOCUMENT_FOLDING_RANGE)
    @answering
    def folding(server: TemplateServer, params: types.FoldingRangeParams) -> list[types.FoldingRange] | None:
        path = server.path_of(params.text_document.uri)
        if path is None:
            return None
        return [types.FoldingRange(first - 1, last - 1) for first, last in ide.foldings(server.editor, path)]

    @server.feature(types.TEXT_DOCUMENT_SELECTION_RANGE)
    @answering
    def selection(server: TemplateServer, params: types.SelectionRangeParams) -> list[types.SelectionRange] | None:
        found: list[types.SelectionRange] = []
        for position in params.positions:
            place = server.at(params.text_document.uri, position)
            if place is None:
                return None
            parent: types.SelectionRange | None = None
            for span in reversed(ide.selections(server.editor, *place)):
                parent = types.SelectionRange(server.converter.positions.range(span), parent)
            found.append(parent or types.SelectionRange(types.Range(position, position)))
        return found

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_LINK)
    @answering
    def link(server: TemplateServer, params: types.DocumentLinkParams) -> list[types.DocumentLink] | None:
        path = server.path_of(params.text_document.uri)
        if path is None:
            return None
        place = server.converter.positions.range
        return [types.DocumentLink(place(span), server.uris.uri_of(to)) for span, to in ide.links(server.editor, path)]

    legend = types.SemanticTokensLegend([*ide.KINDS], [*ide.MODIFIERS])

    @server.feature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, legend)
    @answering
    def tokens(server: TemplateServer, params: types.SemanticTokensParams) -> types.SemanticTokens | None:
        path = server.path_of(params.text_document.uri)
        if path is None:
            return None
        return server.converter.tokens(server.editor.source(path), ide.tokens(server.editor, path))


def add_commands(server: TemplateServer) -> None:
    """Adds what a client can have done."""

    @server.command("fgc.view")
    @answering
    def view(server: TemplateServer, uri: str, wanted: str) -> dict[str, Any] | None:
        """The resolved text, the graph or the program of the configuration in whose light a file is read."""
        path = server.path_of(uri)
        if path is None or wanted not in _VIEWS:
            return None
        found = ide.viewed(server.editor, path, _VIEWS[wanted])
        lines = [_line(server, line) for line in found.lines]
        return {"text": found.text, "language": found.language, "lines": lines, "problem": found.problem}

    @server.command("fgc.page")
    @answering
    def page(server: TemplateServer, code: str) -> str | None:
        """The page of a finding."""
        return page_of(code)


def _line(server: TemplateServer, line: ide.ViewedLine) -> dict[str, Any]:
    return {"line": line.line - 1, "uri": server.uris.uri_of(line.path), "sourceLine": line.source_line - 1}
