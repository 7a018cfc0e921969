"""The inheritance chain of a template: what it draws on, and what draws on it."""

from collections.abc import Iterator

from msgspec import Struct

from fgc.ide.editor import Editor
from fgc.ide.families import FamilyLink, TemplateId
from fgc.text import Span


class ChainLink(Struct, frozen=True):
    """A template at the other end of statements: `span` is where it begins, `places` are the statements."""

    template: TemplateId
    span: Span
    places: tuple[Span, ...]


def template_at(editor: Editor, path: str, offset: int) -> TemplateId:
    """Returns the template of a file in which a place lies: the file's own, or an inline one."""
    parts = [part for part in editor.families.file(path).parts if part.name_span and part.name_span.start <= offset]
    return TemplateId(path, parts[-1].name) if parts else TemplateId(path)


def start_of(editor: Editor, template: TemplateId) -> Span:
    """Returns the place where a template begins: its name, or the file's first character."""
    file = editor.families.file(template.path)
    named = next((part.name_span for part in file.parts if part.name == template.part), None)
    return named or Span(file.main.source, 0, 0)


def drawn_on(editor: Editor, template: TemplateId) -> list[ChainLink]:
    """Returns the templates that a template extends, includes and imports."""
    found = (link for closure in editor.families.family(template.path) for link in closure.links.get(template, ()))
    return [*_joined(editor, ((link.target, link) for link in found if link.target is not None))]


def drawing(editor: Editor, template: TemplateId) -> list[ChainLink]:
    """Returns the templates that extend, include or import a template."""
    pairs = (
        (user, link)
        for closure in editor.families.family(template.path)
        for user, links in closure.links.items()
        for link in links
        if link.target == template
    )
    return [*_joined(editor, pairs)]


def _joined(editor: Editor, pairs: Iterator[tuple[TemplateId, FamilyLink]]) -> Iterator[ChainLink]:
    places: dict[TemplateId, dict[Span, None]] = {}
    for template, link in pairs:
        places.setdefault(template, {})[link.span] = None
    for template, spans in sorted(places.items()):
        yield ChainLink(template, start_of(editor, template), tuple(spans))
