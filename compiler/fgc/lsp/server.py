"""`fgc lsp`: questions of the protocol to `fgc.ide`, over standard input and output.

One thread answers everything, so that no answer mixes two states of a text. Findings are published a moment after the
last keystroke, the file that is edited first; between two files, requests are answered. A bug in an answer is logged
and gives an empty answer: a client never sees a traceback.
"""

import asyncio
import functools
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from fgc import __version__, ide
from fgc.diagnostics import Diagnostic
from fgc.lsp.convert import Converter, merged
from fgc.lsp.positions import Positions
from fgc.lsp.uris import Uris

P = ParamSpec("P")
R = TypeVar("R")
_DELAY_S = 0.1  # a person who types goes on within this time
_log = logging.getLogger("fgc.lsp")


class TemplateServer(LanguageServer):
    """A language server with an editor's state."""

    def __init__(self) -> None:
        # whole texts: pygls counts lines by Python's rules, which know more line ends than the protocol
        super().__init__("fgc", __version__, text_document_sync_kind=types.TextDocumentSyncKind.Full)
        self.editor = ide.Editor([])
        self.uris = Uris()
        self.converter = Converter(Positions(None), self.uris)
        self.was_shut_down = False
        self._findings: dict[str, dict[str, list[Diagnostic]]] = {}
        self._published: dict[str, list[types.Diagnostic]] = {}
        self._checking: asyncio.Task[None] | None = None

    def start(self, folders: Sequence[str]) -> None:
        """Begins to work on folders."""
        found = [folder for folder in folders if os.access(folder, os.R_OK | os.X_OK)]
        if found:
            os.chdir(found[0])  # paths in messages are seen from here
        self.uris = Uris(folders)
        self.editor = ide.Editor([Path(os.path.realpath(folder)) for folder in folders])
        self.converter = Converter(Positions(self.workspace.position_encoding), self.uris)

    def path_of(self, uri: str) -> str | None:
        """Returns the path of a file; None for a text that is none, such as an untitled one."""
        return self.uris.path_of(uri)

    def name_again(self, uri: str, before: str | None) -> None:
        """Opens a file under the path that it has now, where a new folder shows that it lies behind a link."""
        path = self.path_of(uri)
        if before is None or path is None or path == before:
            return
        self.editor.close(Path(before))
        self.uris.opened(uri)
        self.editor.open(Path(path), self.workspace.get_text_document(uri).source)
        self._findings.pop(before, None)
        if before in self._published:
            self._published[path] = self._published.pop(before)

    def at(self, uri: str, position: types.Position) -> tuple[str, int] | None:
        """Returns the path and the offset of a place."""
        path = self.path_of(uri)
        if path is None:
            return None
        return path, self.converter.positions.offset(self.editor.source(path), position)

    def check_soon(self) -> None:
        """Checks the open files when the person has stopped typing."""
        if self._checking is not None:
            self._checking.cancel()
        self._checking = asyncio.ensure_future(self._check())

    async def _check(self) -> None:
        await asyncio.sleep(_DELAY_S)
        is_open = self.editor.open_files()
        for path in [path for path in self._findings if path not in is_open]:
            del self._findings[path]
        self._publish()
        for path in is_open:
            self._findings[path] = self._checked(path)
            self._publish()
            await asyncio.sleep(0)  # whoever asks in the meantime is answered
        try:
            for _ in self.editor.families.prepare():
                await asyncio.sleep(0)
        except Exception:
            _log.exception("the templates of the workspace cannot be read ahead")

    def _checked(self, path: str) -> dict[str, list[Diagnostic]]:
        try:
            return self.editor.findings(path)
        except Exception:
            _log.exception("the check of %s failed", path)
            return {}

    def _publish(self) -> None:
        """Sends the findings of all files where they are others than before."""
        found = merged(self._findings.values())
        shown = {path: self._current(path, items) for path, items in found.items()}
        for path in {*self._published, *shown, *self.editor.open_files()}:
            now = shown.get(path, [])
            if now != self._published.get(path):
                self._published[path] = now
                uri = self.uris.uri_of(path)
                document = self.workspace.text_documents.get(uri)
                version = None if document is None else document.version
                self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, now, version))
        self._published = {path: items for path, items in self._published.items() if items or path in shown}

    def _current(self, path: str, found: Sequence[Diagnostic]) -> list[types.Diagnostic]:
        """Converts the findings of a file, but those about a text that has changed since."""
        text = self.editor.source(path).text
        return [self.converter.diagnostic(finding) for finding in found if finding.span.source.text == text]


def answering(answer: Callable[P, R]) -> Callable[P, R | None]:
    """A request whose answer, if it fails by a bug, is none."""

    @functools.wraps(answer)
    def safe(*arguments: P.args, **named: P.kwargs) -> R | None:
        try:
            return answer(*arguments, **named)
        except Exception:
            _log.exception("%s failed", answer.__name__)
            return None

    return safe
