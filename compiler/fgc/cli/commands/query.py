"""Query the language server about a place in a template, for scripts and agents.

`FILE:LINE:COLUMN` counts from 1, as in findings. `hover` describes the place, `definition` shows where it is defined,
`references` lists the references, `overrides` lists the overrides of a block, `symbols` lists the content of a file
(`FILE` is enough), and `completion` lists possible completions. Exit code 1 if there is no answer, 2 if the place does
not exist.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from typing import Any

EXAMPLES = (
    "fgc query hover templates/configs/base.yaml:12:9",
    "fgc query definition project.yaml:3:4 --format json",
    "fgc query symbols project.yaml",
)
_QUESTIONS = ("hover", "definition", "references", "overrides", "symbols", "completion")


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc query`."""
    parser.add_argument("question", choices=_QUESTIONS, help="what to ask")
    parser.add_argument("place", metavar="FILE[:LINE:COLUMN]", help="where")
    parser.add_argument("--root", metavar="FOLDER", help="folder to search (default: the file's workspace)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")


def run(arguments: Namespace) -> int:
    """Print the answers; see the exit codes above."""
    from fgc.cli.arguments import CannotRun
    from fgc.cli.querying import answers_to  # the compiler's stages: 0.15 s

    try:
        found = answers_to(arguments.question, arguments.place, arguments.root)
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2
    if arguments.format == "json":
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for answer in found:
            print(_line(answer))
    return 0 if found else 1


def _line(answer: dict[str, Any]) -> str:
    if "text" in answer:
        return str(answer["text"])
    words = [answer.get("kind", ""), answer.get("name", ""), answer.get("detail", "")]
    place = f"{answer['path']}:{answer['line']}:{answer['column']}" if "path" in answer else ""
    return "  ".join(word for word in (place, *words) if word)
