"""Show a project's folder, workspace, search path and default configuration.

Templates are searched for in the folders of the search path, in the order shown.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from fgc.cli.arguments import add_cache_switch
from fgc.cli.memo import PrintedAnswer, Questions, answer
from fgc.printing import use_color

if TYPE_CHECKING:
    from fgc.workspace import ProjectDescription

EXAMPLES = ("fgc meta", "fgc -p PROJECT meta --format json")


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc meta`."""
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
    add_cache_switch(parser)


def run(arguments: Namespace) -> int:
    """Print it; 2 if there is no project."""
    has_color = use_color(sys.stderr)
    question = ["meta", arguments.project, arguments.format, has_color]

    def compute(questions: Questions) -> PrintedAnswer:
        from fgc.cli.projects import project_answer  # the compiler's stages: 0.15 s

        return project_answer(arguments, questions, has_color, _as_json if arguments.format == "json" else _as_text)

    return answer(question, not arguments.no_cache, compute).give()


def _as_text(project: "ProjectDescription") -> str:
    from fgc.workspace import display_path

    folders = project.template_folders
    rows = [
        ("project", project.name),
        ("description", project.description or "-"),
        ("folder", str(project.folder)),
        ("workspace", str(project.workspace)),
        ("configurations", f"{len(project.configurations)}, below `{project.config_prefix}`"),
        ("default", project.default_config or "-"),
        ("system path", project.system_path or "-"),
        *(("search path" if number == 0 else "", display_path(path)) for number, path in enumerate(folders)),
    ]
    return "".join(f"{name:<16}{value}\n" for name, value in rows)


def _as_json(project: "ProjectDescription") -> str:
    described = {
        "name": project.name,
        "description": project.description,
        "folder": str(project.folder),
        "workspace": str(project.workspace),
        "config_prefix": project.config_prefix,
        "default_config": project.default_config,
        "system_path": project.system_path,
        "searchpath": [str(folder) for folder in project.searchpath],
        "library": str(project.library) if project.library else None,
        "configurations": {name: str(path) for name, path in project.configurations.items()},
    }
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"
