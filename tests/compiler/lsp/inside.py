"""A client of `fgc lsp` in the process of the server: messages are the protocol's, and every answer is looked at."""

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from fgc.lsp import make_server
from pygls.uris import from_fs_path, to_fs_path

_LINE_END = re.compile(r"\r\n|\n|\r")


class Mistake(AssertionError):
    """An answer that no client can use."""


class InsideClient(logging.Handler):
    """Opens and changes files, asks, and raises `Mistake` at an exception of the server or a place outside a text."""

    def __init__(self, folder: Path) -> None:
        super().__init__(logging.ERROR)
        self.server = make_server()
        self.server.protocol.set_writer(self)
        self.texts: dict[str, str] = {}
        self.versions: dict[str, int] = {}
        self.findings: dict[str, list[Any]] = {}
        self._answers: dict[int, dict[str, Any]] = {}
        self._failures: list[str] = []
        self._number = 0
        folders = [{"uri": folder.as_uri(), "name": folder.name}]
        self.ask("initialize", {"processId": None, "rootUri": None, "capabilities": {}, "workspaceFolders": folders})
        self.tell("initialized", {})

    def write(self, data: bytes) -> None:
        """Takes what the server sends."""
        message = json.loads(data.partition(b"\r\n\r\n")[2])
        if "id" in message and "method" not in message:
            self._answers[message["id"]] = message
        elif message.get("method") == "textDocument/publishDiagnostics":
            self._published(message["params"])

    def close(self) -> None:
        """Does nothing: the server closes its writer."""

    def emit(self, record: logging.LogRecord) -> None:
        self._failures.append(logging.Formatter().format(record))

    def tell(self, method: str, params: Any) -> None:
        """Sends a notification."""
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def ask(self, method: str, params: Any) -> Any:
        """Returns the answer to a request; the reason of a refusal as text."""
        self._number += 1
        self._send({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        answer = self._answers.pop(self._number)
        if "error" in answer:
            if "a bug in fgc" in answer["error"]["message"] or answer["error"]["code"] != -32602:
                raise Mistake(f"{method}: {answer['error']}")
            return str(answer["error"]["message"])
        uri = (params.get("textDocument") or params.get("item") or {}).get("uri")
        self._look(method, uri, params, answer["result"])
        return answer["result"]

    def change(self, path: Path, text: str) -> None:
        """Opens a file, or changes its text."""
        uri = from_fs_path(str(path)) or ""
        text = self.texts[uri] = json.loads(json.dumps(text))  # two halves of a character that meet become one
        self.versions[uri] = self.versions.get(uri, 0) + 1
        if self.versions[uri] == 1:
            item = {"uri": uri, "languageId": "fgc", "version": 1, "text": text}
            self.tell("textDocument/didOpen", {"textDocument": item})
        else:
            document = {"uri": uri, "version": self.versions[uri]}
            self.tell("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})

    def close_file(self, path: Path) -> None:
        """Closes a file."""
        uri = from_fs_path(str(path)) or ""
        self.texts.pop(uri)
        self.versions.pop(uri)
        self.tell("textDocument/didClose", {"textDocument": {"uri": uri}})

    async def checked(self) -> None:
        """Waits until the findings of all open files are told."""
        while (task := self.server._checking) is not None and not task.done():
            await asyncio.wait([task])
        self._raise()

    def text(self, uri: str) -> str:
        """Returns the text of a file as the client has it."""
        if uri in self.texts:
            return self.texts[uri]
        return Path(to_fs_path(uri) or "").read_bytes().decode(errors="replace")

    def _send(self, message: dict[str, Any]) -> None:
        logger = logging.getLogger("fgc.lsp")
        logger.addHandler(self)
        try:
            self.server.protocol.handle_message(self.server.protocol.structure_message(message))
        finally:
            logger.removeHandler(self)
        self._raise()

    def _raise(self) -> None:
        if self._failures:
            failures, self._failures = self._failures, []
            raise Mistake("\n".join(failures))

    def _published(self, params: dict[str, Any]) -> None:
        uri = params["uri"]
        self.findings[uri] = params["diagnostics"]
        if params.get("version") != self.versions.get(uri):
            self._failures.append(f"findings of version {params.get('version')}, not {self.versions.get(uri)}: {uri}")
        self._failures += self._outside(uri, params["diagnostics"])

    def _look(self, method: str, uri: str | None, params: Any, result: Any) -> None:
        """Raises `Mistake` if an answer has places that are none."""
        wrong = [*self._outside(uri, result)]
        if method == "textDocument/semanticTokens/full":
            wrong += self._wrong_tokens(uri or "", result)
        if method == "textDocument/foldingRange":
            count = len(_LINE_END.split(self.text(uri or "")))
            wrong += [f"{fold}" for fold in result or () if not 0 <= fold["startLine"] < fold["endLine"] < count]
        if method == "textDocument/completion":
            edits = [item["textEdit"]["range"] for item in (result or {}).get("items", ())]
            wrong += [f"completes at {r}" for r in edits if not _holds(r, params["position"], on_one_line=True)]
        if method in ("textDocument/prepareRename", "textDocument/hover") and result is not None:
            found = result if "start" in result else result.get("range")
            wrong += [] if found is None or _holds(found, params["position"]) else [f"{method} at {found}"]
        if method == "textDocument/rename" and isinstance(result, dict):
            wrong += self._overlapping(result)
        if wrong:
            raise Mistake(f"{method} {params}: {wrong[:5]}")

    def _outside(self, uri: str | None, answer: Any) -> Iterator[str]:
        """Yields the places of an answer that do not lie in their text."""
        if isinstance(answer, list):
            for item in answer:
                yield from self._outside(uri, item)
        elif isinstance(answer, dict):
            if "line" in answer and "character" in answer:
                if not self._is_place(uri or "", answer):
                    yield f"{answer} is no place of {uri}"
            elif "start" in answer and "end" in answer and _key(answer["end"]) < _key(answer["start"]):
                yield f"{answer} ends before it starts"
            own = (answer.get("textDocument") or answer.get("from") or answer).get("uri", uri)
            for key, value in answer.items():
                yield from self._outside(key if key.startswith("file:") else own, value)

    def _is_place(self, uri: str, place: dict[str, int]) -> bool:
        lines = _LINE_END.split(self.text(uri))
        if not 0 <= place["line"] < len(lines):
            return False
        units = lines[place["line"]].encode("utf-16-le", "surrogatepass")
        at = 2 * place["character"]
        splits_a_pair = 0 < at < len(units) and 0xD8 <= units[at - 1] < 0xDC <= units[at + 1] < 0xE0
        return 0 <= at <= len(units) and not splits_a_pair

    def _wrong_tokens(self, uri: str, result: Any) -> Iterator[str]:
        data = [] if result is None else result["data"]
        line = character = end = 0
        for at in range(0, len(data), 5):
            down, right, width = data[at : at + 3]
            line, character = line + down, right if down else character + right
            if down < 0 or right < 0 or width <= 0 or (not down and character < end):
                yield f"token {data[at : at + 5]} at line {line}"
            end = character + width
            yield from self._outside(uri, {"line": line, "character": end})

    def _overlapping(self, edit: dict[str, Any]) -> Iterator[str]:
        found = {**(edit.get("changes") or {})}
        for change in edit.get("documentChanges") or ():
            if "edits" in change:
                found[change["textDocument"]["uri"]] = change["edits"]
        for uri, edits in found.items():
            ranges = sorted((_key(one["range"]["start"]), _key(one["range"]["end"])) for one in edits)
            if any(second[0] < first[1] for first, second in pairwise(ranges)):
                yield f"edits of {uri} overlap: {ranges}"


def _key(place: dict[str, int]) -> tuple[int, int]:
    return place["line"], place["character"]


def _holds(found: dict[str, Any], place: dict[str, int], *, on_one_line: bool = False) -> bool:
    is_short = found["start"]["line"] == found["end"]["line"]
    return _key(found["start"]) <= _key(place) <= _key(found["end"]) and (is_short or not on_one_line)
