"""List all templates on a project's search path, and which extends which.

Templates are parsed but not rendered: a name that a template computes is shown as an expression. `fgc trefs` shows
which templates one configuration actually uses. If the output is a pipe or a file, plain paths are printed.
"""

import sys
from argparse import ArgumentParser, Namespace
from functools import partial
from typing import TYPE_CHECKING

from fgc.cli.arguments import add_cache_switch
from fgc.cli.layout import DIM, paint, terminal_columns
from fgc.cli.memo import PrintedAnswer, Questions, answer
from fgc.printing import use_color

if TYPE_CHECKING:
    from fgc.workspace import ProjectDescription

EXAMPLES = (
    "fgc tlist                    which template extends which",
    "fgc tlist | xargs grep PATTERN   search all templates: into a pipe, one path on each line",
    "fgc tlist --own              without the template library",
)


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc tlist`."""
    forms = ("tree", "files", "md", "json")
    parser.add_argument("--format", choices=forms, help="how to print (default: tree; into a pipe or file: files)")
    parser.add_argument("--own", action="store_true", help="omit the template library")
    add_cache_switch(parser)


def run(arguments: Namespace) -> int:
    """Print the templates; 2 if there is no project."""
    has_color, style = use_color(sys.stderr), (terminal_columns(), use_color(sys.stdout))
    form = arguments.format or ("tree" if sys.stdout.isatty() else "files")
    question = ["tlist", arguments.project, form, arguments.own, has_color, style]

    def compute(questions: Questions) -> PrintedAnswer:
        from fgc.cli.projects import project_answer  # the compiler's stages: 0.15 s

        def show(project: "ProjectDescription") -> str:
            return _listed(project, form, arguments.own, style)

        return project_answer(arguments, questions, has_color, show)

    return answer(question, not arguments.no_cache, compute).give()


def _listed(project: "ProjectDescription", form: str, is_own: bool, style: tuple[int | None, bool]) -> str:
    from fgc.workspace import display_path
    from fgc.workspace.hierarchy import template_entries, template_files

    everything = project.template_folders
    folders = project.searchpath if is_own else everything
    if form == "files":
        return "".join(f"{display_path(path)}\n" for _, path in template_files(folders, project.store))
    from fgc.api.hierarchies import as_markdown, as_tree, entries_json, inheritance

    entries = template_entries(folders, project.store)
    if form == "json":
        return entries_json(entries) + "\n"
    names = {entry.name for entry in template_entries(everything, project.store)}
    trees = inheritance(entries, names)
    dim = partial(paint, tint=DIM, has_color=style[1])
    lines = as_tree(trees, columns=style[0], dim=dim) if form == "tree" else as_markdown(trees)
    return "".join(f"{line}\n" for line in lines)
