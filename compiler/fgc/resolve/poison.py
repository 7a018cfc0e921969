"""Reads from syntax trees which names and anchors are lost because statements did not run after a mistake.

A name that is lost is broken, not undefined: whoever uses it is silent. Only what no tree says (a template that is not
there) loses everything that may have come from it.
"""

from collections.abc import Callable, Iterable
from typing import Any

from fgc.patterns import regex
from fgc.resolve.mentions import walk
from fgc.syntax import ast
from fgc.text import Source

_ANCHOR = regex(r"&([^\s,\[\]{}]+)")

Find = Callable[[str], ast.Template | None]


class Lost:
    """Attributes of namespaces, and anchors of the text, that a mistake has kept from being.

    `has_everything`: a template could not be run at all, and may have set any attribute. `has_text`: it is not known
    where text that was lost would stand; `blocks` are those whose lines follow it, with their files. `has_unread`:
    something that ran could not be read, and may read any name.
    """

    def __init__(self, find: Find) -> None:
        """`find` gives the template of a name, if there is one."""
        self._find = find
        self._seen: set[int] = set()
        self.attributes: set[str] = set()
        self.anchors: set[str] = set()
        self.blocks: set[tuple[str, Source]] = set()
        self.has_everything = False
        self.has_text = False
        self.has_unread = False

    def holds(self, attribute: str) -> bool:
        """Returns True if the attribute of a namespace may have been set by what was lost."""
        return self.has_everything or attribute in self.attributes

    @property
    def knows_reads(self) -> bool:
        """False if what could not be read, or was lost, may read any name."""
        return not self.has_everything and not self.has_unread

    def everything(self) -> None:
        """Note a template that could not be run."""
        self.has_everything = True

    def statements(self, nodes: Iterable[Any]) -> None:
        """Note statements that did not run, with the templates that they would have included."""
        for node in walk(nodes):
            match node:
                case ast.Text():
                    self.anchors.update(_ANCHOR.findall("".join(run.text for run in node.runs)))
                case ast.NamespaceTarget():
                    self.attributes.add(node.attribute)
                case ast.Include(template=ast.Const(value=str() as name)):
                    self._template(self._find(name))
                case ast.Include():
                    self.everything()
                case _:
                    pass

    def _template(self, template: ast.Template | None) -> None:
        """Note an included template and its ancestors; one that is not there may have set anything."""
        if template is None:
            self.everything()
        elif id(template) not in self._seen:
            self._seen.add(id(template))
            self.statements(template.body)
            for node in template.body:
                if isinstance(node, ast.Extends):
                    name = node.parent.value if isinstance(node.parent, ast.Const) else None
                    self._template(self._find(name) if isinstance(name, str) else None)
