"""Print an overview of a project as Markdown.

Shows its description, its configurations with their descriptions, its folders, and which template extends which.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fgc.cli.arguments import add_cache_switch
from fgc.cli.memo import PrintedAnswer, Questions, answer
from fgc.printing import use_color

if TYPE_CHECKING:
    from fgc.api.listing import ListedConfiguration, ListedProject
    from fgc.workspace import ProjectDescription

EXAMPLES = ("fgc index", "fgc -p PROJECT index > OVERVIEW.md", "fgc index --format json")


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc index`."""
    parser.add_argument("--format", choices=("md", "json"), default="md", help="how to print (default: md)")
    add_cache_switch(parser)


def run(arguments: Namespace) -> int:
    """Print the overview; 2 if there is no project."""
    has_color = use_color(sys.stderr)

    def compute(questions: Questions) -> PrintedAnswer:
        from fgc.cli.projects import project_answer  # the compiler's stages: 0.15 s

        def show(project: "ProjectDescription") -> str:
            return _as_json(project) if arguments.format == "json" else "\n".join(_overview(project)) + "\n"

        return project_answer(arguments, questions, has_color, show)

    question = ["index", arguments.project, arguments.format, has_color]
    return answer(question, not arguments.no_cache, compute).give()


def _overview(project: "ProjectDescription") -> Iterator[str]:
    from fgc.api.hierarchies import as_markdown, inheritance
    from fgc.api.listing import list_project
    from fgc.workspace import display_path
    from fgc.workspace.hierarchy import template_entries

    yield f"# {project.name}"
    if project.description:
        yield f"\n{project.description}"
    yield "\n## Configurations\n"
    yield from _table(list_project(project), project)
    yield "\n## Folders\n"
    yield f"- project: `{display_path(project.folder)}`"
    yield f"- workspace: `{display_path(project.workspace)}`"
    yield from (f"- templates: `{display_path(folder)}`" for folder in project.searchpath)
    yield "\n## Templates\n"
    everything = template_entries(project.template_folders, project.store)
    own = template_entries(project.searchpath, project.store)
    yield from as_markdown(inheritance(own, {entry.name for entry in everything}))


def _as_json(project: "ProjectDescription") -> str:
    """Returns the JSON of `fgc ls` and `fgc tlist --own` in one object."""
    from fgc.api.hierarchies import entries_json
    from fgc.api.listing import list_project, project_json
    from fgc.workspace.hierarchy import template_entries

    templates = json.loads(entries_json(template_entries(project.searchpath, project.store)))
    folders = {"workspace": str(project.workspace), "searchpath": [str(folder) for folder in project.searchpath]}
    described = {**project_json(list_project(project)), **folders, "templates": templates}
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


def _table(listed: "ListedProject", project: "ProjectDescription") -> Iterator[str]:
    if not listed.configurations:
        yield "None yet."
        return
    yield "| configuration | name | description |"
    yield "|---|---|---|"
    for item in listed.configurations:
        default = " (default)" if item.is_default else ""
        yield f"| `{item.file}`{default} | {_cell(item.config_name or '')} | {_cell(_description(item))} |"


def _description(item: "ListedConfiguration") -> str:
    return f"PARSE ERROR {item.error.message} ({item.error.span})" if item.error else item.description or ""


def _cell(text: str) -> str:
    """Returns a text escaped for a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")
