"""The templates that a configuration uses: a tree in a terminal, a drawing in a notebook."""

from fgc.api.drawing import as_svg
from fgc.api.hierarchies import as_tree
from fgc.api.references import References, references_of
from fgc.workspace.selection import Selected


class TemplateTree:
    """The templates that a configuration extends, includes and imports; `references` lists each use."""

    def __init__(self, selected: Selected) -> None:
        self.references: References = references_of(selected)

    @property
    def files(self) -> list[str]:
        """The files of the templates, the configuration first."""
        return list(dict.fromkeys(template.file for template in self.references.templates))

    def __str__(self) -> str:
        return "\n".join(as_tree([self.references.tree()]))

    __repr__ = __str__

    def _repr_svg_(self) -> str:
        return "\n".join(as_svg(self.references))
