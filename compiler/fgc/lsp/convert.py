"""Answers of `fgc.ide` as the protocol says them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lsprotocol import types

from fgc.diagnostics import Diagnostic, Edit, Severity
from fgc.ide import KINDS, MODIFIERS, Action, Completion, FileSymbol, Renaming, SemanticToken, file_of
from fgc.lsp.positions import Positions
from fgc.lsp.uris import Uris
from fgc.text import Source, Span

_SYMBOLS = {
    "template": types.SymbolKind.File,
    "block": types.SymbolKind.Class,
    "macro": types.SymbolKind.Function,
    "key": types.SymbolKind.Key,
    "anchor": types.SymbolKind.Constant,
    "variable": types.SymbolKind.Variable,
}
_ITEMS = {
    "statement": types.CompletionItemKind.Keyword,
    "block": types.CompletionItemKind.Class,
    "template": types.CompletionItemKind.File,
    "variable": types.CompletionItemKind.Variable,
    "attribute": types.CompletionItemKind.Property,
    "anchor": types.CompletionItemKind.Reference,
    "tag": types.CompletionItemKind.Keyword,
    "module": types.CompletionItemKind.Module,
    "callable": types.CompletionItemKind.Function,
    "keyword": types.CompletionItemKind.Field,
    "value": types.CompletionItemKind.Value,
    "filter": types.CompletionItemKind.Function,
    "test": types.CompletionItemKind.Function,
    "macro": types.CompletionItemKind.Function,
    "key": types.CompletionItemKind.Property,
    "option": types.CompletionItemKind.Property,
}


class Converter:
    """Converts places and answers for one client."""

    def __init__(self, positions: Positions, uris: Uris) -> None:
        self.positions = positions
        self.uri_of = uris.uri_of

    def location(self, span: Span) -> types.Location:
        return types.Location(self.uri_of(file_of(span)), self.positions.range(span))

    def diagnostic(self, finding: Diagnostic) -> types.Diagnostic:
        related = [
            types.DiagnosticRelatedInformation(self.location(other.span), other.message) for other in finding.related
        ]
        message = finding.message if finding.help is None else f"{finding.message}\n{finding.help}"
        is_error = finding.severity is Severity.ERROR
        level = types.DiagnosticSeverity.Error if is_error else types.DiagnosticSeverity.Warning
        return types.Diagnostic(
            range=self.positions.range(_shown(finding.span)),
            message=message,
            severity=level,
            code=finding.code,
            source="fgc",
            related_information=related or None,
        )

    def completion(self, item: Completion, place: int) -> types.CompletionItem:
        """Converts an offer; editors sort by letters, so its place among the others is written in letters."""
        shows = types.MarkupContent(types.MarkupKind.Markdown, f"```yaml\n{item.shows}\n```") if item.shows else None
        edit = types.TextEdit(self.positions.range(item.span), item.new_text)
        return types.CompletionItem(
            label=item.label,
            kind=_ITEMS[item.kind],
            detail=item.detail or None,
            documentation=shows,
            sort_text=f"{place:05}",
            text_edit=edit,
            filter_text=item.label,
        )

    def symbol(self, found: FileSymbol) -> types.DocumentSymbol:
        children = [self.symbol(child) for child in found.children]
        whole = (
            found.whole if found.whole.start <= found.span.start and found.span.end <= found.whole.end else found.span
        )
        end = max([whole.end, *(child.whole.end for child in found.children)])
        return types.DocumentSymbol(
            name=found.name or "(no name)",
            kind=_SYMBOLS[found.kind],
            range=self.positions.range(Span(whole.source, whole.start, end)),
            selection_range=self.positions.range(found.span),
            children=children or None,
        )

    def workspace_symbol(self, found: FileSymbol) -> types.WorkspaceSymbol:
        file = Path(file_of(found.span)).name
        return types.WorkspaceSymbol(self.location(found.span), found.name, _SYMBOLS[found.kind], container_name=file)

    def edits(self, edits: Iterable[Edit]) -> list[types.TextEdit]:
        return [types.TextEdit(self.positions.range(edit.span), edit.text) for edit in edits]

    def changes(self, edits: Mapping[str, Sequence[Edit]]) -> types.WorkspaceEdit:
        return types.WorkspaceEdit(changes={self.uri_of(path): self.edits(found) for path, found in edits.items()})

    def renaming(self, renaming: Renaming) -> types.WorkspaceEdit:
        if renaming.moved is None:
            return self.changes(renaming.edits)
        documents: list[types.TextDocumentEdit | types.CreateFile | types.RenameFile | types.DeleteFile] = [
            types.TextDocumentEdit(
                types.OptionalVersionedTextDocumentIdentifier(self.uri_of(path)), [*self.edits(edits)]
            )
            for path, edits in renaming.edits.items()
        ]
        old, new = map(self.uri_of, renaming.moved)
        documents.append(types.RenameFile(old_uri=old, new_uri=new))
        return types.WorkspaceEdit(document_changes=documents)

    def action(self, action: Action, uri: str) -> types.CodeAction:
        finding = None if action.finding is None else [self.diagnostic(action.finding)]
        edit = types.WorkspaceEdit(changes={uri: self.edits(action.edits)}) if action.edits else None
        command = None
        if action.explains is not None:
            command = types.Command(action.title, "fgc.explain", arguments=[action.explains])
        kind = types.CodeActionKind.QuickFix
        if finding is None:
            kind = types.CodeActionKind.SourceFixAll
        return types.CodeAction(
            action.title, kind, finding, is_preferred=action.is_preferred or None, edit=edit, command=command
        )

    def tokens(self, source: Source, found: Sequence[SemanticToken]) -> types.SemanticTokens:
        """Returns tokens as five numbers each: lines and characters count from the token before."""
        data: list[int] = []
        line = character = 0
        for token in found:
            place = self.positions.range(Span(source, token.span.start, token.span.end))
            start = place.start.character - (character if place.start.line == line else 0)
            bits = sum(1 << MODIFIERS.index(modifier) for modifier in token.modifiers)
            width = place.end.character - place.start.character
            data += [place.start.line - line, start, width, KINDS.index(token.kind), bits]
            line, character = place.start.line, place.start.character
        return types.SemanticTokens(data)


def merged(findings: Iterable[Mapping[str, Sequence[Diagnostic]]]) -> dict[str, list[Diagnostic]]:
    """Returns the findings of several open files by the files in which they lie, each once."""
    found: dict[str, dict[tuple[str, str, int, int], Diagnostic]] = {}
    for by_file in findings:
        for path, diagnostics in by_file.items():
            for one in diagnostics:
                found.setdefault(path, {})[one.code, one.message, one.span.start, one.span.end] = one
    return {path: [*items.values()] for path, items in found.items()}


def _shown(span: Span) -> Span:
    """Returns a place that can be seen: an empty one becomes the character behind it."""
    text = span.source.text
    if span.start < span.end or span.start >= len(text) or text[span.start] == "\n":
        return span
    return Span(span.source, span.start, span.start + 1)
