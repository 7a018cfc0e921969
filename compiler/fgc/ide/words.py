"""Words of the language that an editor offers."""

from fgc.lower import TAG_KINDS
from fgc.resolve.environment import jinja_environment
from fgc.workspace.project import META_KEYS

STATEMENTS = (
    *("extends", "include", "import", "from", "block", "endblock", "set", "endset", "if", "elif", "else", "endif"),
    *("for", "endfor", "macro", "endmacro", "call", "endcall", "filter", "endfilter", "with", "endwith"),
)
TAGS = tuple(f"!{kind}" for kind in TAG_KINDS)
FILTERS = tuple(sorted(jinja_environment().filters))
TESTS = tuple(sorted(name for name in jinja_environment().tests if name.isidentifier()))

__all__ = ["FILTERS", "META_KEYS", "STATEMENTS", "TAGS", "TESTS"]
