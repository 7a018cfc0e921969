"""Show the templates that a configuration uses.

Shows what it extends, includes and imports; computed names are resolved. `dot` is for Graphviz; `svg` needs no other
program. Solid lines extend, dashed lines include, dotted lines import.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from functools import partial
from typing import TYPE_CHECKING

from fgc.cli.arguments import CannotRun, add_cache_switch, add_selection, variables_of
from fgc.cli.layout import DIM, paint, terminal_columns
from fgc.cli.memo import PrintedAnswer, Questions, answer
from fgc.printing import use_color

if TYPE_CHECKING:
    from fgc.api.references import References
    from fgc.cli.select import Selected

EXAMPLES = (
    "fgc trefs config.yaml",
    "fgc -t CONFIG trefs --format files | xargs grep optimizer",
    "fgc trefs config.yaml --format svg > templates.svg",
)
_FORMATS = ("tree", "files", "md", "dot", "svg", "json")


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc trefs`."""
    add_selection(parser)
    parser.add_argument("--format", choices=_FORMATS, default="tree", help="how to print (default: tree)")
    add_cache_switch(parser)


def run(arguments: Namespace) -> int:
    """Print the templates; 1 if a finding is an error."""
    try:
        variables = variables_of(arguments)
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2
    has_color, style = use_color(sys.stderr), (terminal_columns(), use_color(sys.stdout))
    chosen = [arguments.file, arguments.project, arguments.config, arguments.include, variables]
    question = ["trefs", *chosen, arguments.format, has_color, style]

    def compute(questions: Questions) -> PrintedAnswer:
        from fgc.cli.guard import selection_answer  # the compiler's stages: 0.15 s

        return selection_answer(
            arguments, questions, has_color, lambda selected: _shown(selected, arguments.format, style)
        )

    return answer(question, not arguments.no_cache, compute).give()


def _shown(selected: "Selected", form: str, style: tuple[int | None, bool]) -> str:
    from fgc.api.drawing import as_dot, as_svg
    from fgc.api.hierarchies import as_markdown, as_tree
    from fgc.api.references import references_of

    references = references_of(selected)
    if form == "json":
        return _as_json(references)
    if form == "files":
        lines = iter(dict.fromkeys(template.file for template in references.templates))
    elif form in ("dot", "svg"):
        lines = (as_dot if form == "dot" else as_svg)(references)
    elif form == "md":
        lines = as_markdown([references.tree()])
    else:
        dim = partial(paint, tint=DIM, has_color=style[1])
        lines = as_tree([references.tree()], columns=style[0], dim=dim)
    return "".join(f"{line}\n" for line in lines)


def _as_json(references: "References") -> str:
    described = {
        "templates": [
            {"name": template.name, "file": template.file, "is_inline": template.is_inline}
            for template in references.templates
        ],
        "references": [
            {"from": reference.user.name, "kind": reference.kind.value, "to": reference.used.name}
            for reference in references.references
        ],
    }
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"
