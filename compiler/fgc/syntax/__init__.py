"""Template text to AST, with the place of everything.

The grammar is in `grammar/`; this package runs its tables. Knows nothing of other templates, values or YAML.
"""

from fgc.syntax import ast
from fgc.syntax.parser import parse, unreadable
from fgc.syntax.tags import CALL_TAGS, TAG_KINDS, Tag, parse_tag

__all__ = ["CALL_TAGS", "TAG_KINDS", "Tag", "ast", "parse", "parse_tag", "unreadable"]
