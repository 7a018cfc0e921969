"""Questions of an editor to plain data: what is wrong here, what is this, where is it defined, what may follow.

`Editor` holds the open files over a workspace. Every question is a function of the editor, a path and an offset, and
its answer names places in texts: no protocol, no server. `fgc lsp` and `fgc query` ask the same questions.

Two readings of a template meet here. *Marks* are the names in one file, from its syntax tree and from the YAML between
the statements; they are there while a line is half written. *Families* say which files can meet in one configuration,
by the names that `extends`, `include` and `import` mention. A configuration that is compiled is asked only for values.
"""

from fgc.ide.actions import Action, actions, fix_all
from fgc.ide.chain import ChainLink, drawing, drawn_on, start_of, template_at
from fgc.ide.completion import complete
from fgc.ide.editor import Editor
from fgc.ide.families import TemplateId
from fgc.ide.hovers import Hover, hover
from fgc.ide.lenses import Hint, Lens, hints, lenses
from fgc.ide.moves import Following, follow
from fgc.ide.navigation import definitions, file_of, implementations, overridden, overriding, references
from fgc.ide.offers import Completion
from fgc.ide.outline import FileSymbol, foldings, links, selections, symbols, workspace_symbols
from fgc.ide.rename import CannotRename, Renaming, can_rename, rename
from fgc.ide.tokens import KINDS, MODIFIERS, SemanticToken, tokens
from fgc.ide.views import View, Viewed, ViewedLine, viewed

__all__ = [
    "KINDS",
    "MODIFIERS",
    "Action",
    "CannotRename",
    "ChainLink",
    "Completion",
    "Editor",
    "FileSymbol",
    "Following",
    "Hint",
    "Hover",
    "Lens",
    "Renaming",
    "SemanticToken",
    "TemplateId",
    "View",
    "Viewed",
    "ViewedLine",
    "actions",
    "can_rename",
    "complete",
    "definitions",
    "drawing",
    "drawn_on",
    "file_of",
    "fix_all",
    "foldings",
    "follow",
    "hints",
    "hover",
    "implementations",
    "lenses",
    "links",
    "overridden",
    "overriding",
    "references",
    "rename",
    "selections",
    "start_of",
    "symbols",
    "template_at",
    "tokens",
    "viewed",
    "workspace_symbols",
]
