"""The inheritance chain as the protocol's call hierarchy: a template is called by those that draw on it."""

from pathlib import Path
from typing import Any

from lsprotocol import types

from fgc import ide
from fgc.lsp.server import TemplateServer, answering


def add_hierarchy(server: TemplateServer) -> None:
    """Adds what draws on a template, and what it draws on."""

    @server.feature(types.TEXT_DOCUMENT_PREPARE_CALL_HIERARCHY)
    @answering
    def prepare(
        server: TemplateServer, params: types.CallHierarchyPrepareParams
    ) -> list[types.CallHierarchyItem] | None:
        place = server.at(params.text_document.uri, params.position)
        return None if place is None else [_item(server, ide.template_at(server.editor, *place))]

    @server.feature(types.CALL_HIERARCHY_INCOMING_CALLS)
    @answering
    def incoming(
        server: TemplateServer, params: types.CallHierarchyIncomingCallsParams
    ) -> list[types.CallHierarchyIncomingCall]:
        found = ide.drawing(server.editor, _template(params.item))
        ranges = server.converter.positions.range
        return [
            types.CallHierarchyIncomingCall(_item(server, link.template), [*map(ranges, link.places)]) for link in found
        ]

    @server.feature(types.CALL_HIERARCHY_OUTGOING_CALLS)
    @answering
    def outgoing(
        server: TemplateServer, params: types.CallHierarchyOutgoingCallsParams
    ) -> list[types.CallHierarchyOutgoingCall]:
        found = ide.drawn_on(server.editor, _template(params.item))
        ranges = server.converter.positions.range
        return [
            types.CallHierarchyOutgoingCall(_item(server, link.template), [*map(ranges, link.places)]) for link in found
        ]


def _item(server: TemplateServer, template: ide.TemplateId) -> types.CallHierarchyItem:
    place = server.converter.positions.range(ide.start_of(server.editor, template))
    name = template.part or Path(template.path).name
    return types.CallHierarchyItem(
        name=name,
        kind=types.SymbolKind.File,
        uri=server.uris.uri_of(template.path),
        range=place,
        selection_range=place,
        detail=str(Path(template.path).parent.name),
        data={"path": template.path, "part": template.part},
    )


def _template(item: types.CallHierarchyItem) -> ide.TemplateId:
    data: Any = item.data
    return ide.TemplateId(str(data["path"]), str(data["part"]))
