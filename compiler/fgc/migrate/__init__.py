"""Trees of the reference to trees of fgc: text in, edits and what has no counterpart out.

`table.yaml` says what a thing is called here, and is the only place that knows names of the reference.
"""

from fgc.migrate.finding import Leftover, Migrated
from fgc.migrate.python_code import migrate_notebook, migrate_python
from fgc.migrate.table import MigrationTable, read_table
from fgc.migrate.templates import migrate_template

__all__ = [
    "Leftover",
    "Migrated",
    "MigrationTable",
    "migrate_notebook",
    "migrate_python",
    "migrate_template",
    "read_table",
]
