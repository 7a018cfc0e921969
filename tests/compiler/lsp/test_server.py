"""The server in a process of its own, asked by a real client: every request once, and what goes wrong."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fgc.lsp.server import TemplateServer
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from tests.compiler.ide.test_navigation import BASE, LARGE, PROJECT, SMALL
from tests.compiler.ide.tree import FILES, make_tree
from tests.compiler.lsp.client import Client, document, talk

pytestmark = pytest.mark.slow


def test_every_request_is_answered(tmp_path: Path) -> None:
    make_tree(tmp_path)
    small, project, base = tmp_path / SMALL, tmp_path / PROJECT, tmp_path / BASE
    whole = types.Range(types.Position(0, 0), types.Position(99, 0))

    async def conversation(client: Client) -> dict[str, Any]:
        result = await client.begin(tmp_path)
        for path in (small, project, base):
            client.open(path, FILES[str(path.relative_to(tmp_path))])
        at = types.Position(6, 3)  # in `[optimizer_args]`
        here = document(project)
        found: dict[str, Any] = {"encoding": result.capabilities.position_encoding}
        workspace = result.capabilities.workspace
        assert workspace is not None and workspace.file_operations is not None
        found["told"] = workspace.file_operations.will_rename
        found["hover"] = await client.text_document_hover_async(types.HoverParams(here, at))
        found["definition"] = await client.text_document_definition_async(types.DefinitionParams(here, at))
        context = types.ReferenceContext(include_declaration=True)
        found["references"] = await client.text_document_references_async(types.ReferenceParams(context, here, at))
        found["implementation"] = await client.text_document_implementation_async(types.ImplementationParams(here, at))
        found["highlight"] = await client.text_document_document_highlight_async(
            types.DocumentHighlightParams(here, at)
        )
        found["prepare"] = await client.text_document_prepare_rename_async(types.PrepareRenameParams(here, at))
        found["rename"] = await client.text_document_rename_async(types.RenameParams(here, at, "more"))
        found["completion"] = await client.text_document_completion_async(
            types.CompletionParams(document(small), types.Position(2, 1))
        )
        found["symbols"] = await client.text_document_document_symbol_async(types.DocumentSymbolParams(document(base)))
        found["workspace"] = await client.workspace_symbol_async(types.WorkspaceSymbolParams("optim"))
        found["folding"] = await client.text_document_folding_range_async(types.FoldingRangeParams(document(base)))
        found["selection"] = await client.text_document_selection_range_async(types.SelectionRangeParams(here, [at]))
        found["links"] = await client.text_document_document_link_async(types.DocumentLinkParams(here))
        found["tokens"] = await client.text_document_semantic_tokens_full_async(types.SemanticTokensParams(here))
        found["hints"] = await client.text_document_inlay_hint_async(types.InlayHintParams(document(base), whole))
        found["lenses"] = await client.text_document_code_lens_async(types.CodeLensParams(here))
        (item,) = (
            await client.text_document_prepare_call_hierarchy_async(types.CallHierarchyPrepareParams(here, at)) or ()
        )
        above = types.CallHierarchyOutgoingCallsParams(item)
        found["above"] = await client.call_hierarchy_outgoing_calls_async(above)
        below = types.CallHierarchyIncomingCallsParams(item)
        found["below"] = await client.call_hierarchy_incoming_calls_async(below)
        moved = types.FileRename(base.as_uri(), (tmp_path / "shared/root.yaml").as_uri())
        found["moved"] = await client.workspace_will_rename_files_async(types.RenameFilesParams([moved]))
        layout = types.FormattingOptions(4, True)
        client.change(small, '-- extends   "project.yaml"\n')
        found["format"] = await client.text_document_formatting_async(
            types.DocumentFormattingParams(document(small), layout)
        )
        view = types.ExecuteCommandParams("fgc.view", [small.as_uri(), "text"])
        found["view"] = await client.workspace_execute_command_async(view)
        page = types.ExecuteCommandParams("fgc.page", ["FGC204"])
        found["page"] = await client.workspace_execute_command_async(page)
        return {**found, "messages": client.messages}

    found, code = talk(conversation)
    assert code == 0 and found["encoding"] == "utf-16"
    assert [(asked.pattern.glob, asked.pattern.matches) for asked in found["told"].filters] == [
        ("**/*.{yaml,yml,jinja,j2}", types.FileOperationPatternKind.File),
        ("**", types.FileOperationPatternKind.Folder),  # a client tests a folder's path, without a slash behind it
    ]
    assert "overrides the one in shared/base.yaml:8" in found["hover"].contents.value
    assert [(place.uri, place.range.start.line) for place in found["definition"]] == [(base.as_uri(), 7)]
    assert [place.uri for place in found["references"]] == [
        (tmp_path / LARGE).as_uri(),
        project.as_uri(),
        base.as_uri(),
    ]
    assert [place.uri for place in found["implementation"]] == [(tmp_path / LARGE).as_uri()]
    assert len(found["highlight"]) == 1 and found["prepare"].end.character == 15
    assert {edit.new_text for edits in found["rename"].changes.values() for edit in edits} == {"more"}
    assert "optimizer_args" in {item.label for item in found["completion"].items}
    assert [symbol.name for symbol in found["symbols"]] == ["globals", "optimizer", "main"]
    assert {symbol.name for symbol in found["workspace"]} == {"optimizer", "optimizer_args"}
    assert found["folding"] and found["selection"][0].parent is not None
    assert found["links"][0].target == base.as_uri() and len(found["tokens"].data) % 5 == 0
    assert [hint.label for hint in found["hints"]] == ["= 0.3"]
    assert "overrides base.yaml:3" in {lens.command.title for lens in found["lenses"]}
    assert [call.to.name for call in found["above"]] == ["base.yaml"]
    assert [call.from_.name for call in found["below"]] == ["large.yaml", "small.yaml"]
    assert [edit.new_text for edits in found["moved"].changes.values() for edit in edits] == ["root.yaml"]
    assert found["format"][0].new_text == '-- extends "project.yaml"\n'
    assert "AdamW" in found["view"]["text"] and found["page"].startswith("# FGC204")
    assert any(sys.executable in message for message in found["messages"])


def test_findings_follow_every_keystroke(tmp_path: Path) -> None:
    """Positions are in UTF-16 units: the character before the mistake has two. Line ends are those of Windows."""
    make_tree(tmp_path)
    small, base = tmp_path / SMALL, tmp_path / BASE

    async def conversation(client: Client) -> list[types.Diagnostic]:
        await client.begin(tmp_path)
        text = '-- extends "project.yaml"\r\n[globls]\r\n    == super()\r\n    ## 𝛼\r\n'
        client.open(small, text)
        await client.until(lambda: any(d.code == "FGC204" for d in client.diagnostics.get(small.as_uri(), [])))
        client.change(small, FILES[SMALL], 2)
        await client.until(lambda: not client.diagnostics[small.as_uri()])
        client.open(base, FILES[BASE].replace("lr: {{", '"𝛼": {{ "𝛼" ~ nothing }}\n    lr: {{'))
        await client.until(lambda: bool(client.diagnostics.get(base.as_uri())))
        found = client.diagnostics[base.as_uri()]
        client.text_document_did_close(types.DidCloseTextDocumentParams(document(base)))
        await client.until(lambda: not client.diagnostics[base.as_uri()])
        return found

    found, code = talk(conversation)
    (undefined,) = [d for d in found if d.code == "FGC203"]
    assert (undefined.range.start.line, undefined.range.start.character) == (6, 20) and code == 0


def test_a_fix_is_offered_and_a_change_on_disk_is_seen(tmp_path: Path) -> None:
    make_tree(tmp_path)
    small, base = tmp_path / SMALL, tmp_path / BASE

    async def conversation(client: Client) -> list[types.CodeAction]:
        await client.begin(tmp_path)
        client.open(small, FILES[SMALL] + "x: !partial:torch.nn.SiLU []\n")
        await client.until(lambda: bool(client.diagnostics.get(small.as_uri())))
        place = client.diagnostics[small.as_uri()][0].range
        context = types.CodeActionContext([])
        found = await client.text_document_code_action_async(types.CodeActionParams(document(small), place, context))
        base.write_text(FILES[BASE].replace("AdamW", "AdmaW"))
        event = types.FileEvent(base.as_uri(), types.FileChangeType.Changed)
        client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([event]))
        await client.until(lambda: bool(client.diagnostics.get(base.as_uri())))
        return [action for action in found or [] if isinstance(action, types.CodeAction)]

    found, _ = talk(conversation)
    (fix,) = [action for action in found if action.is_preferred]
    assert fix.edit is not None and fix.edit.changes is not None
    assert [edit.new_text for edit in fix.edit.changes[small.as_uri()]] == ["torch.nn:SiLU"]


def test_folders_come_and_go_and_kinds_of_actions_are_asked_for(tmp_path: Path) -> None:
    """The workspace lies behind a link, and the client is told of files by the names that it gave them."""
    make_tree(tmp_path / "one")
    make_tree(tmp_path / "two")
    (tmp_path / "two" / PROJECT).write_text(FILES[PROJECT].replace("[optimizer_args]", "[optimizr_args]"))
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "two")
    base, project = link / BASE, link / PROJECT

    async def conversation(client: Client) -> list[Any]:
        await client.begin(tmp_path / "one")
        client.open(base, FILES[BASE])
        folder = types.WorkspaceFolder(link.as_uri(), "two")
        added = types.WorkspaceFoldersChangeEvent([folder], [])
        client.workspace_did_change_workspace_folders(types.DidChangeWorkspaceFoldersParams(added))
        await client.until(lambda: bool(client.diagnostics.get(project.as_uri())))
        client.open(project, (tmp_path / "two" / PROJECT).read_text())
        place = client.diagnostics[project.as_uri()][0].range
        titles = []
        for kind in ("quickfix", "source.fixAll", "refactor"):
            context = types.CodeActionContext([], [kind])
            asked = types.CodeActionParams(document(project), place, context)
            titles.append([action.title for action in await client.text_document_code_action_async(asked) or []])
        removed = types.WorkspaceFoldersChangeEvent([], [folder])
        client.text_document_did_close(types.DidCloseTextDocumentParams(document(project)))
        client.workspace_did_change_workspace_folders(types.DidChangeWorkspaceFoldersParams(removed))
        await client.until(lambda: not any(client.diagnostics.values()))
        return titles

    titles, code = talk(conversation)
    assert "Silence FGC204 here" in titles[0] and len(titles[1]) <= 1 and titles[2] == [] and code == 0


def test_what_cannot_be_renamed_is_refused_with_the_reason(tmp_path: Path) -> None:
    make_tree(tmp_path)

    async def conversation(client: Client) -> str:
        await client.begin(tmp_path)
        client.open(tmp_path / PROJECT, FILES[PROJECT])
        with pytest.raises(JsonRpcException) as refused:
            await client.text_document_rename_async(
                types.RenameParams(document(tmp_path / PROJECT), types.Position(6, 3), "globals")
            )
        return refused.value.message

    assert "there is a block `globals` already" in talk(conversation)[0]


def test_texts_that_are_no_files_and_files_that_are_not_there_have_no_answer(tmp_path: Path) -> None:
    make_tree(tmp_path)

    async def conversation(client: Client) -> list[Any]:
        await client.begin(tmp_path / "nowhere")
        untitled = types.TextDocumentIdentifier("untitled:Untitled-1")
        at = types.Position(0, 3)
        client.text_document_did_open(
            types.DidOpenTextDocumentParams(types.TextDocumentItem("untitled:Untitled-1", "fgc", 1, "[x]\n"))
        )
        missing = document(tmp_path / "nowhere/none.yaml")
        return [
            await client.text_document_hover_async(types.HoverParams(document_, at))
            for document_ in (untitled, missing)
        ]

    assert talk(conversation) == ([None, None], 0)


def test_a_client_that_leaves_without_a_word_ends_the_server_with_1() -> None:
    message = b'{"jsonrpc": "2.0", "method": "exit"}'
    text = b"Content-Length: %d\r\n\r\n%s" % (len(message), message)
    ended = subprocess.run([sys.executable, "-m", "fgc", "lsp"], input=text, capture_output=True, timeout=120)
    assert ended.returncode == 1 and b"Traceback" not in ended.stderr


def test_findings_about_a_text_that_has_changed_are_not_told(tmp_path: Path) -> None:
    path = str(tmp_path / SMALL)
    server = TemplateServer()
    server.editor = make_tree(tmp_path)
    server.editor.open(tmp_path / SMALL, "-- extends 'project.yaml'\n[globls]\n")
    found = server.editor.findings(path)[path]
    assert [finding.code for finding in server._current(path, found)] == ["FGC204"]
    server.editor.open(tmp_path / SMALL, "## one more line\n-- extends 'project.yaml'\n[globls]\n")
    assert server._current(path, found) == []
