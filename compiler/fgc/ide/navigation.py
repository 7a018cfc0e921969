"""A name to where it is defined, who mentions it, and who overrides it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from fgc.ide.editor import Editor, path_of
from fgc.ide.families import Closure, TemplateId, block_marks
from fgc.ide.marks import Mark, MarkKind, block_ended_at, mark_at
from fgc.ide.python_names import callable_place
from fgc.pipeline.dynamic import dynamic_arguments
from fgc.text import Span


def mark_under(editor: Editor, path: str, offset: int) -> Mark | None:
    """Returns the name at a place of a file."""
    marks = editor.families.marks(path)
    return mark_at(marks, offset) or block_ended_at(marks, offset)


def definitions(editor: Editor, path: str, offset: int) -> list[Span]:
    """Returns the places that define the name at an offset.

    Of a block that is the definition which it overrides, and of `super()` what is printed in its place.
    """
    mark = mark_under(editor, path, offset)
    if mark is None:
        return []
    match mark.kind:
        case MarkKind.TEMPLATE:
            return [*dict.fromkeys(_template_places(editor, path, mark))]
        case MarkKind.BLOCK | MarkKind.SUPER:
            parents = [found.span for found in overridden(editor, path, mark)]
            return parents or ([mark.span] if mark.kind is MarkKind.BLOCK else [])
        case MarkKind.CALLABLE:
            place = callable_place(editor, path, mark)
            return [] if place is None else [place]
        case MarkKind.FILTER | MarkKind.TEST:
            return []
        case _:
            places = [found.span for found in related(editor, path, mark) if found.is_definition]
            return places or (_options_of(editor, path, mark.name) if mark.kind is MarkKind.VARIABLE else [])


def _options_of(editor: Editor, path: str, name: str) -> list[Span]:
    """Returns the entries of `dynamic_args` that give a variable its value, each once."""
    found: dict[tuple[str, int], Span] = {}
    for config in editor.contexts(path) or [path]:
        selected = editor.selected(config)
        for option in () if selected is None else dynamic_arguments(selected.compilation.graph).value:
            if option.variable == name and option.origin is not None:
                span = option.origin.span
                found.setdefault((file_of(span), span.start), span)
    return [*found.values()]


def references(editor: Editor, path: str, offset: int) -> list[Mark]:
    """Returns every mention of the name at an offset, definitions included, in the order of files and places."""
    mark = mark_under(editor, path, offset)
    if mark is None:
        return []
    found = blocks_like(editor, path, mark) if mark.kind in (MarkKind.BLOCK, MarkKind.SUPER) else ()
    return sorted(found or related(editor, path, mark), key=_place)


def implementations(editor: Editor, path: str, offset: int) -> list[Span]:
    """Returns the overrides of the block at an offset."""
    mark = mark_under(editor, path, offset)
    if mark is None or mark.kind is not MarkKind.BLOCK:
        return []
    return [found.span for found in overriding(editor, path, mark)]


def overridden(editor: Editor, path: str, mark: Mark) -> list[Mark]:
    """Returns the nearest definitions of a block in the ancestors of its template."""
    template = TemplateId(path, mark.part)
    found: dict[Span, Mark] = {}
    for closure in editor.families.family(path):
        nearest = next((m for m in _definitions_above(editor, closure, template, mark.name)), None)
        if nearest is not None:
            found[nearest.span] = nearest
    return [*found.values()]


def overriding(editor: Editor, path: str, mark: Mark) -> list[Mark]:
    """Returns the definitions of a block in templates that extend its own, however far."""
    own = TemplateId(path, mark.part)
    found: dict[Span, Mark] = {}
    for closure in editor.families.family(path):
        for template in closure.links:
            if own in closure.ancestors(template):
                found |= {other.span: other for other in block_marks(editor.families, template, mark.name)}
    return sorted(found.values(), key=_place)


def blocks_like(editor: Editor, path: str, mark: Mark) -> list[Mark]:
    """Returns all definitions of the block that a mark names: those that override one another."""
    families = editor.families
    known: dict[TemplateId, None] = {TemplateId(path, mark.part): None}
    waiting = [*known]
    while waiting:
        template = waiting.pop()
        for closure in families.family(template.path):
            for other in _relatives(closure, template):
                if other not in known and block_marks(families, other, mark.name):
                    known[other] = None
                    waiting.append(other)
    return sorted((m for template in known for m in block_marks(families, template, mark.name)), key=_place)


def related(editor: Editor, path: str, mark: Mark) -> list[Mark]:
    """Returns the marks of the same name in all templates that may meet in one configuration."""
    families = editor.families
    if mark.kind is MarkKind.TEMPLATE:
        return _mentions_of_template(editor, path, mark)
    if mark.kind is MarkKind.CALLABLE:
        files = {file for config in families.configurations() for file in families.closure(config).paths} | {path}
    else:
        files = {*families.sources(families.family(path))} | {path}
    kinds = (MarkKind.MACRO, MarkKind.VARIABLE) if mark.kind in (MarkKind.MACRO, MarkKind.VARIABLE) else (mark.kind,)
    found = [m for file in files for m in families.marks(file) if m.kind in kinds and m.name == mark.name]
    return sorted(found, key=_place)


def template_of(editor: Editor, path: str, mark: Mark) -> list[TemplateId]:
    """Returns the templates that a mark of a template's name may mean."""
    if mark.is_definition:
        return [TemplateId(path, mark.name)]
    found: dict[TemplateId, None] = {}
    own = TemplateId(path, mark.part)
    for closure in [editor.families.closure(path), *editor.families.family(path)]:
        targets = (link.target for link in closure.links.get(own, ()) if link.name == mark.name)
        found |= {target: None for target in targets if target is not None}
    return [*found]


def _template_places(editor: Editor, path: str, mark: Mark) -> Iterator[Span]:
    for template in template_of(editor, path, mark):
        file = editor.families.file(template.path)
        part = next((part for part in file.parts if part.name == template.part), None)
        if part is not None and part.name_span is not None:
            yield part.name_span
        else:
            yield Span(file.main.source, 0, 0)


def _mentions_of_template(editor: Editor, path: str, mark: Mark) -> list[Mark]:
    """Returns the statements that draw on the template which a mark names, and the name of an inline one."""
    wanted = set(template_of(editor, path, mark))
    found: dict[Span, Mark] = {}
    for file in editor.families.sources([*_all_closures(editor), editor.families.closure(path)]):
        for other in editor.families.marks(file):
            is_meant = other.kind is MarkKind.TEMPLATE and other.name == mark.name
            if is_meant and wanted.intersection(template_of(editor, file, other)):
                found[other.span] = other
    return sorted(found.values(), key=_place)


def _all_closures(editor: Editor) -> Iterable[Closure]:
    return (editor.families.closure(config) for config in editor.families.configurations())


def _definitions_above(editor: Editor, closure: Closure, template: TemplateId, name: str) -> Iterator[Mark]:
    for ancestor in closure.ancestors(template):
        yield from block_marks(editor.families, ancestor, name)


def _relatives(closure: Closure, template: TemplateId) -> Iterator[TemplateId]:
    """Yields the ancestors of a template, and the templates whose ancestor it is."""
    yield from closure.ancestors(template)
    yield from (other for other in closure.links if template in closure.ancestors(other))


def _place(mark: Mark) -> tuple[str, int]:
    return mark.span.source.display_name, mark.span.start


def file_of(span: Span) -> str:
    """Returns the absolute path of a place."""
    return path_of(span.source) or str(Path(span.source.name))
