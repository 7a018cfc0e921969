"""List, show and link the checkpoints of a configuration's output folder.

`link` makes the model of a checkpoint loadable from the output folder, by symbolic links: `from_pretrained` and
`fgc serve` then load that one. Files that are no links are never replaced.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from fgc.cli.arguments import CannotRun, add_variables

if TYPE_CHECKING:
    from fgc.cli.outputs import Checkpoint

EXAMPLES = (
    "fgc checkpoint list",
    "fgc -t CONFIG checkpoint show 500",
    "fgc checkpoint link latest --into best_model",
    "fgc checkpoint --folder output_models/tiny list",
)


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc checkpoint`."""
    add_variables(parser)
    parser.add_argument("--folder", metavar="OUTPUT", help="an output folder, in place of the configuration's")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="all checkpoints, the lowest step first")
    show = actions.add_parser("show", help="one checkpoint: its state and its files")
    for action in (listing, show):
        action.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
    link = actions.add_parser("link", help="make one the model of the output folder, by links")
    for action in (show, link):
        action.add_argument("step", nargs="?", default="latest", metavar="STEP", help="a step, or `latest` (default)")
    link.add_argument("--into", metavar="FOLDER", help="a folder in place of the output folder")


def run(arguments: Namespace) -> int:
    """Do it; 2 if there is no such checkpoint or output folder."""
    from fgc.cli.outputs import choose, link_model, output_folder  # the compiler's stages: 0.15 s
    from fgc.cli.select import report
    from fgc.workspace import ProjectError, display_path

    arguments.file = None
    try:
        output = Path(arguments.folder) if arguments.folder else output_folder(arguments)
        if arguments.action == "list":
            return _list(output, arguments.format)
        checkpoint = choose(output, arguments.step)
        if arguments.action == "show":
            return _show(checkpoint, arguments.format)
        folder = Path(arguments.into) if arguments.into else output
        names = link_model(checkpoint, folder)
        print(f"{display_path(folder)} is checkpoint {checkpoint.step} now: {', '.join(names)}")
        return 0
    except (CannotRun, OSError) as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2
    except ProjectError as error:
        report(error.diagnostics)
        return 2


def _list(output: Path, form: str) -> int:
    from fgc.cli.outputs import checkpoints_in, readable_size
    from fgc.workspace import display_path

    found = checkpoints_in(output)
    if form == "json":
        rows = [{"step": item.step, "folder": str(item.folder), "size_bytes": item.size_bytes} for item in found]
        print(json.dumps(rows, indent=2))
        return 0
    if not found:
        print(f"no checkpoints in {display_path(output)}")
    for item in found:
        mark = "  latest" if item is found[-1] else ""
        print(f"{item.step:>8}  {readable_size(item.size_bytes):>9}  {display_path(item.folder)}{mark}")
    return 0


def _show(checkpoint: "Checkpoint", form: str) -> int:
    from fgc.cli.outputs import readable_size

    state = checkpoint.folder / "trainer_state.json"
    try:
        values = json.loads(state.read_text(encoding="utf-8")) if state.is_file() else {}
    except ValueError:
        raise CannotRun(f"`{state}` is not valid JSON") from None
    if form == "json":
        files = [{"name": path.name, "size_bytes": path.stat().st_size} for path in checkpoint.files]
        described = {"step": checkpoint.step, "folder": str(checkpoint.folder), "state": values, "files": files}
        print(json.dumps(described, indent=2, ensure_ascii=False))
        return 0
    print(f"checkpoint {checkpoint.step} in {checkpoint.folder}")
    for name, value in values.items() if isinstance(values, dict) else ():
        print(f"  {name}: {json.dumps(value)}")
    for path in checkpoint.files:
        print(f"  {path.name:<32}{readable_size(path.stat().st_size):>10}")
    return 0
