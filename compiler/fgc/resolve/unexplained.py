"""Finds what a run leaves unsaid: names that are set and never read, and mistakes where the run did not come by.

All of it is read from the syntax trees of the templates that ran; nothing here evaluates anything.
"""

from collections.abc import Callable, Collection, Iterable, Iterator

from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Related, Severity, misspelt
from fgc.resolve.environment import jinja_environment
from fgc.resolve.failures import unknown_filter
from fgc.resolve.library import Library
from fgc.resolve.mentions import walk
from fgc.resolve.poison import Lost
from fgc.resolve.usage import Usage, usage_in, usage_of
from fgc.syntax import ast
from fgc.text import Span

_UNTAKEN, _OVERRIDDEN = "a branch that is not taken", "a block that is overridden"
_SPECIAL_NAMES = frozenset(("loop", "super", "self", "caller", "varargs", "kwargs"))


def check_unexplained(
    usage: Usage,
    taken: Collection[int],
    given: Collection[str],
    library: Library,
    reported: Iterable[Diagnostic],
    lost: Lost,
) -> Iterator[Diagnostic]:
    """Yields the reported findings with those about templates that ran, whose `usage` this is.

    `taken`: branches that ran, by identity; `given`: variables and globals. What could not be read, or was lost, may
    read any name: then none is said to be unread.
    """
    known = {*usage.defined, *given, *_SPECIAL_NAMES}
    branches = list(_untaken(usage.branches, taken))
    overridden = [block.body for block in usage.blocks if id(block.body) not in taken]
    found = [
        *(_local(finding, usage) for finding in reported),
        *(finding for branch in branches for finding in _misspelt_names(branch, usage, known, _UNTAKEN)),
        *(finding for body in overridden for finding in _misspelt_names(body, usage, known, _OVERRIDDEN)),
    ]
    unread = list(_unread_variables(usage, known)) if lost.knows_reads else []
    yield from _explained(found, unread)
    yield from unknown_filters(usage)
    if lost.knows_reads:
        undefined = {finding.span.text for finding in found if finding.code == "FGC203"}
        yield from _unread_attributes(usage, undefined, library)
    yield from (finding for branch in branches for finding in _missing_templates(branch, library))
    yield from (finding for body in overridden for finding in _misspelt_templates(body, library))


def _local(finding: Diagnostic, usage: Usage) -> Diagnostic:
    """An undefined name with the place that sets it where it is not seen."""
    name = finding.span.text
    if finding.code != "FGC203" or name not in usage.sets or finding.message != f"`{name}` is undefined":
        return finding
    related = Related(usage.sets[name], f"`{name}` is set here, but not visible there")
    help = (
        "blocks, loops and filters keep what they set, and imports see no variables: "
        "use an attribute of a `namespace()`"
    )
    return replace(finding, help=help, related=(related, *finding.related))


def _explained(found: list[Diagnostic], unread: list[Diagnostic]) -> Iterator[Diagnostic]:
    """Findings of undefined names with the set variable that was meant; then what is left of those."""
    meant = {finding.related[0].span.text: finding for finding in unread}
    undefined = {finding.span.text for finding in found if finding.code == "FGC203"}
    for finding in found:
        cause = meant.get(finding.span.text) if finding.code == "FGC203" else None
        if cause is not None:
            related = Related(cause.span, f"`{cause.span.text}` is set here and never read")
            finding = replace(finding, related=(related, *finding.related))
        yield finding
    yield from (finding for name, finding in meant.items() if name not in undefined)


def unknown_filters(usage: Usage) -> Iterator[Diagnostic]:
    """FGC111, wherever it stands: a warning where a condition decides."""
    environment = jinja_environment()
    for use in usage.filters:
        what, table = ("test", environment.tests) if use.is_test else ("filter", environment.filters)
        if use.filter.name not in table:
            severity = Severity.WARNING if use.is_conditional else Severity.ERROR
            yield unknown_filter(what, use.filter, table, severity)


def _unread_attributes(usage: Usage, undefined: Collection[str], library: Library) -> Iterator[Diagnostic]:
    """FGC212: an attribute of a namespace that is set, is read nowhere, and is nearly one that is read.

    A template that other configurations share sets what they read: they count too.
    """
    for (namespace, attribute), span in usage.attribute_sets.items():
        if attribute in usage.attribute_reads or namespace in usage.dynamic_reads:
            continue
        match = misspelt(attribute, usage.attribute_reads)
        if match in undefined:
            continue  # the name that is read is the misspelt one, which has been said
        elsewhere = library.mentioning(attribute) if match is not None else ()
        if match is not None and not any(attribute in usage_of(template).attribute_reads for template in elsewhere):
            yield _unread(
                "FGC212", f"`{namespace}.{attribute}`", f"`{namespace}.{match}`", span, usage.attribute_reads[match]
            )


def _unread_variables(usage: Usage, known: Collection[str]) -> Iterator[Diagnostic]:
    """FGC215: a variable that is set, is read nowhere, and is nearly one that is read and never set."""
    unset = [name for name in usage.reads if name not in known]
    for name, span in usage.sets.items():
        if name in usage.reads or name in usage.attribute_reads:
            continue
        match = misspelt(name, unset)
        if match is not None:
            yield _unread("FGC215", f"`{name}`", f"`{match}`", span, usage.reads[match])


def _unread(code: str, name: str, match: str, span: Span, read_at: Span) -> Diagnostic:
    message = f"{name} is set and never read"
    related = (Related(read_at, f"{match} is read here"),)
    return Diagnostic(code, message, span, Severity.WARNING, f"did you mean {match}?", related)


def _untaken(branches: Iterable[ast.If], taken: Collection[int]) -> Iterator[ast.Expr | tuple[ast.Statement, ...]]:
    """Conditions and bodies that did not run."""
    for statement in branches:
        for condition, body in statement.branches:
            yield from (part for part in (condition, body) if id(part) not in taken)
        if id(statement.otherwise) not in taken:
            yield statement.otherwise


def _misspelt_names(
    part: ast.Expr | tuple[ast.Statement, ...], usage: Usage, known: Collection[str], where: str
) -> Iterator[Diagnostic]:
    """FGC203 as a warning: a name that nothing defines, nothing asks for, and that is nearly one that is defined."""
    for name, span in usage_in([part]).reads.items():
        if name in known or name in usage.optional:
            continue
        match = misspelt(name, known)
        if match is not None:
            message = f"`{name}` is undefined, in {where}"
            yield Diagnostic("FGC203", message, span, Severity.WARNING, f"did you mean `{match}`?")


def _missing_templates(branch: ast.Expr | tuple[ast.Statement, ...], library: Library) -> Iterator[Diagnostic]:
    """FGC201 as a warning: a template that is named in a branch that is not taken, and is not there."""
    named = [(node, name, str(name.value)) for node in walk([branch]) for name in _template_names(node)]
    exists = _existence(library, [text for _, _, text in named])
    for node, name, text in named:
        is_optional = isinstance(node, ast.Include) and node.ignores_missing
        if not is_optional and not exists(text):
            yield library.not_found(text, name.span, Severity.WARNING)


def _misspelt_templates(body: Iterable[ast.Statement], library: Library) -> Iterator[Diagnostic]:
    """FGC201 as a warning: a slip in the name of a template, in a block that this configuration overrides.

    A name that resembles no other is left alone: a block that others must override may name what only they have.
    """
    for node in walk(body, into_blocks=False):
        for name in _template_names(node):
            text = str(name.value)
            is_optional = isinstance(node, ast.Include) and node.ignores_missing
            if not is_optional and not library.has(text) and library.is_misspelt(text):
                yield library.not_found(text, name.span, Severity.WARNING)


def _template_names(node: object) -> list[ast.Const]:
    expression = None
    if isinstance(node, (ast.Include, ast.Import, ast.FromImport)):
        expression = node.template
    elif isinstance(node, ast.Extends):
        expression = node.parent
    return [expression] if isinstance(expression, ast.Const) and isinstance(expression.value, str) else []


def _existence(library: Library, names: Iterable[str]) -> Callable[[str], bool]:
    """Returns the test whether a template exists, also as an inline template of another file of the same branch."""
    inline: set[str] = set()
    found: set[str] = set()
    for name in names:
        parts = library.peek(name)
        if parts is not None:
            found.add(name)
            inline |= parts
    return lambda name: name in found or name in inline
