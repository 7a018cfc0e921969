"""A client of `fgc lsp` in a process of its own."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from lsprotocol import types
from pygls.lsp.client import LanguageClient

T = TypeVar("T")
_TIMEOUT_S = 120


class Client(LanguageClient):
    """Keeps what the server tells without being asked."""

    def __init__(self) -> None:
        super().__init__("test", "1")
        self.diagnostics: dict[str, list[types.Diagnostic]] = {}
        self.messages: list[str] = []
        self._told = asyncio.Event()

        @self.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def published(params: types.PublishDiagnosticsParams) -> None:
            self.diagnostics[params.uri] = list(params.diagnostics)
            self._told.set()

        @self.feature(types.WINDOW_LOG_MESSAGE)
        def logged(params: types.LogMessageParams) -> None:
            self.messages.append(params.message)

        @self.feature(types.CLIENT_REGISTER_CAPABILITY)
        def registered(params: types.RegistrationParams) -> None:
            self.messages.append(params.registrations[0].method)

    async def begin(self, folder: Path, encodings: list[str] | None = None) -> types.InitializeResult:
        await self.start_io(sys.executable, "-m", "fgc", "lsp")
        general = types.GeneralClientCapabilities(position_encodings=encodings)
        watched = types.DidChangeWatchedFilesClientCapabilities(dynamic_registration=True)
        moves = types.FileOperationClientCapabilities(will_rename=True)
        workspace = types.WorkspaceClientCapabilities(did_change_watched_files=watched, file_operations=moves)
        result = await self.initialize_async(
            types.InitializeParams(
                types.ClientCapabilities(general=general, workspace=workspace),
                workspace_folders=[types.WorkspaceFolder(folder.as_uri(), folder.name)],
            )
        )
        self.initialized(types.InitializedParams())
        return result

    def open(self, path: Path, text: str) -> None:
        item = types.TextDocumentItem(path.as_uri(), "fgc", 1, text)
        self.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def change(self, path: Path, text: str, version: int = 2) -> None:
        identifier = types.VersionedTextDocumentIdentifier(version, path.as_uri())
        whole = types.TextDocumentContentChangeWholeDocument(text)
        self.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [whole]))

    async def until(self, holds: Callable[[], bool]) -> None:
        """Waits until what was published is as it should be."""
        while not holds():
            self._told.clear()
            await asyncio.wait_for(self._told.wait(), _TIMEOUT_S)


def talk(conversation: Callable[[Client], Awaitable[T]]) -> tuple[T, int | None]:
    """Returns what a conversation gives, and the exit code of the server."""

    async def whole() -> tuple[T, int | None]:
        client = Client()
        try:
            result = await asyncio.wait_for(conversation(client), _TIMEOUT_S)
            await client.shutdown_async(None)
            client.exit(None)
            assert client._server is not None, "it was started"
            return result, await asyncio.wait_for(client._server.wait(), _TIMEOUT_S)
        finally:
            await client.stop()

    return asyncio.run(whole())


def document(path: Path) -> types.TextDocumentIdentifier:
    return types.TextDocumentIdentifier(path.as_uri())
