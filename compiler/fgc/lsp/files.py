"""Follows what happens to files: opened, edited, closed, changed on disk."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from lsprotocol import types
from pygls.uris import to_fs_path

from fgc import __version__, ide
from fgc.lsp.server import TemplateServer, answering
from fgc.text import TEMPLATE_SUFFIXES

_ENDINGS = ",".join(suffix[1:] for suffix in TEMPLATE_SUFFIXES)
_WATCHED = f"**/*.{{{_ENDINGS},py}}"
_MAX_PROBLEMS = 3
_MOVED = (
    types.FileOperationPattern(f"**/*.{{{_ENDINGS}}}", types.FileOperationPatternKind.File),
    types.FileOperationPattern("**", types.FileOperationPatternKind.Folder),
)


def add_files(server: TemplateServer) -> None:
    """Adds what happens to files."""

    @server.feature(types.INITIALIZE)
    def initialize(server: TemplateServer, params: types.InitializeParams) -> None:
        uris = [folder.uri for folder in params.workspace_folders or []] or [params.root_uri or ""]
        paths = _paths(uris)
        server.start(paths or ([params.root_path] if params.root_path else []))

    @server.feature(types.INITIALIZED)
    def initialized(server: TemplateServer, params: types.InitializedParams) -> None:
        message = f"fgc {__version__} reads the packages of {sys.executable} (Python {sys.version.split()[0]})"
        server.window_log_message(types.LogMessageParams(types.MessageType.Info, message))
        if server.editor.problem is not None:
            server.window_show_message(types.ShowMessageParams(types.MessageType.Warning, server.editor.problem))
        workspace = server.client_capabilities.workspace
        watched = None if workspace is None else workspace.did_change_watched_files
        if watched is not None and watched.dynamic_registration:
            watchers = [types.FileSystemWatcher(_WATCHED)]
            options = types.DidChangeWatchedFilesRegistrationOptions(watchers)
            registration = types.Registration("files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
            server.client_register_capability(types.RegistrationParams([registration]))

    @server.feature(types.SHUTDOWN)
    def shutdown(server: TemplateServer, params: None) -> None:
        server.was_shut_down = True

    def laid(uri: str) -> None:
        path = server.path_of(uri)
        if path is not None:
            server.editor.open(Path(path), server.workspace.get_text_document(uri).source)
            server.check_soon()

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    @answering
    def opened(server: TemplateServer, params: types.DidOpenTextDocumentParams) -> None:
        server.uris.opened(params.text_document.uri)
        laid(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    @answering
    def changed(server: TemplateServer, params: types.DidChangeTextDocumentParams) -> None:
        laid(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    @answering
    def closed(server: TemplateServer, params: types.DidCloseTextDocumentParams) -> None:
        path = server.path_of(params.text_document.uri)
        if path is not None:
            server.editor.close(Path(path))
            server.check_soon()

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    @answering
    def changed_on_disk(server: TemplateServer, params: types.DidChangeWatchedFilesParams) -> None:
        is_open = server.editor.open_files()
        paths = [(server.path_of(change.uri), change.type) for change in params.changes]
        others = [(path, kind) for path, kind in paths if path is not None and path not in is_open]
        if not others:
            return
        only_content = all(
            kind == types.FileChangeType.Changed and path.endswith(TEMPLATE_SUFFIXES) for path, kind in others
        )
        if only_content:
            server.editor.changed([Path(path) for path, _ in others])
        else:
            server.editor.refresh()
        server.check_soon()

    named = [types.FileOperationFilter(pattern) for pattern in _MOVED]

    @server.feature(types.WORKSPACE_WILL_RENAME_FILES, types.FileOperationRegistrationOptions(named))
    @answering
    def moves(server: TemplateServer, params: types.RenameFilesParams) -> types.WorkspaceEdit | None:
        paths = [(server.path_of(file.old_uri), server.path_of(file.new_uri)) for file in params.files]
        known = [(old, new) for old, new in paths if old is not None and new is not None]
        found = ide.follow(server.editor, known)
        if found.problems:  # the protocol knows no refusal of a move
            more = len(found.problems) - _MAX_PROBLEMS
            lines = [*found.problems[:_MAX_PROBLEMS], *([f"and {more} more"] if more > 0 else [])]
            message = "Names that do not follow this move:\n" + "\n".join(lines)
            server.window_show_message(types.ShowMessageParams(types.MessageType.Warning, message))
        return server.converter.changes(found.edits) if found.edits else None

    @server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    @answering
    def changed_folders(server: TemplateServer, params: types.DidChangeWorkspaceFoldersParams) -> None:
        paths = _paths(folder.uri for folder in server.workspace.folders.values())
        before = {uri: server.path_of(uri) for uri in server.workspace.text_documents}
        server.uris.add(paths)
        for uri, path in before.items():
            server.name_again(uri, path)
        server.editor.folders[:] = [Path(os.path.realpath(path)) for path in paths]
        server.editor.refresh()
        server.check_soon()


def _paths(uris: Iterable[str]) -> list[str]:
    """Returns the paths of folders; those of other schemes have none."""
    return [path for uri in uris if uri.startswith("file:") and (path := to_fs_path(uri)) is not None]
