"""List, show, link and prune the checkpoints of a configuration's output folder.

`link` makes the model of a checkpoint loadable from the output folder, by symbolic links: `from_pretrained` and
`fgc serve` then load that one. Files that are no links are never replaced. `prune` removes old checkpoints; the newest,
the best and those that links in the output folder lead to stay in any case. Each run has checkpoints of its own: those
of the run that saved last are meant, or of the run that `--folder` names.
"""

import json
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fgc.cli.arguments import CannotRun, add_variables, selection_group
from fgc.reading import read_json

if TYPE_CHECKING:
    from fgc.cli.outputs import Checkpoint

EXAMPLES = (
    "fgc checkpoint list",
    "fgc -t CONFIG checkpoint show 500",
    "fgc checkpoint link latest --into best_model",
    "fgc checkpoint prune --keep 2 --dry-run      what would go",
    "fgc checkpoint list --folder output_models/tiny",
    "fgc checkpoint list --folder output_models/tiny/runs/train_2026-11-24T13-40-00",
)


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc checkpoint`."""
    _add_output(parser, None)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="all checkpoints, the lowest step first")
    show = actions.add_parser("show", help="one checkpoint: its state and its files")
    link = actions.add_parser("link", help="make one the model of the output folder, by links")
    prune = actions.add_parser("prune", help="remove all but the newest, the best and the linked ones")
    for action in (show, link):
        action.add_argument("step", nargs="?", default="latest", metavar="STEP", help="a step, or `latest` (default)")
    link.add_argument("--into", metavar="FOLDER", help="a folder in place of the output folder")
    prune.add_argument("--keep", type=int, required=True, metavar="N", help="how many of the newest stay")
    prune.add_argument("--dry-run", action="store_true", help="say what would go; remove nothing")
    for action in (listing, show, prune):
        action.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
    for action in (listing, show, link, prune):
        _add_output(action, SUPPRESS)


def _add_output(parser: ArgumentParser, default: str | None) -> None:
    """The arguments that choose the output folder, before and behind the action."""
    add_variables(parser, default)
    selection_group(parser).add_argument(
        "--folder",
        metavar="OUTPUT",
        default=default,
        help="an output folder or a run's (default: the configuration's)",
    )


def run(arguments: Namespace) -> int:
    """Do it; 2 if there is no such checkpoint or output folder."""
    from fgc.cli.select import report
    from fgc.workspace import ProjectError

    arguments.file = None
    try:
        return _run(arguments)
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2
    except ProjectError as error:
        report(error.diagnostics)
        return 2


def _run(arguments: Namespace) -> int:
    from fgc.cli.outputs import choose, link_model, output_folder  # the compiler's stages: 0.15 s
    from fgc.workspace import display_path

    output = Path(arguments.folder) if arguments.folder else output_folder(arguments)
    if not output.is_dir() and arguments.folder:
        raise CannotRun(f"there is no folder `{output}`")
    if arguments.action == "list":
        return _list(output, arguments.format)
    if arguments.action == "prune":
        return _prune(output, arguments)
    checkpoint = choose(output, arguments.step)
    if arguments.action == "show":
        return _show(checkpoint, arguments.format)
    folder = Path(arguments.into) if arguments.into else output
    names = link_model(checkpoint, folder)
    print(f"{display_path(folder)} is checkpoint {checkpoint.step} now: {', '.join(names)}")
    return 0


def _list(output: Path, form: str) -> int:
    from fgc.cli.outputs import checkpoints_in, readable_size
    from fgc.cli.pruning import marks
    from fgc.workspace import display_path

    found = checkpoints_in(output)
    said = marks(output, found)
    if form == "json":
        print(json.dumps([_values(item, said[item.step]) for item in found], indent=2))
        return 0
    if not found:
        print(f"no checkpoints in {display_path(output)}")
    for item in found:
        mark = f"  {', '.join(said[item.step])}" if said[item.step] else ""
        print(f"{item.step:>8}  {readable_size(item.size_bytes):>9}  {display_path(item.folder)}{mark}")
    return 0


def _values(checkpoint: "Checkpoint", marks: Sequence[str]) -> dict[str, object]:
    facts = {f"is_{mark}": mark in marks for mark in ("latest", "best", "linked")}
    return {
        "step": checkpoint.step,
        "folder": str(checkpoint.folder),
        "size_bytes": checkpoint.size_bytes,
        **facts,
    }


def _prune(output: Path, arguments: Namespace) -> int:
    """Remove what is in excess, and say what went and what stayed."""
    from fgc.cli.outputs import checkpoints_in, readable_size
    from fgc.cli.pruning import excess, marks, remove

    if arguments.keep < 1:
        raise CannotRun(f"`--keep {arguments.keep}`: at least the newest checkpoint stays")
    found = checkpoints_in(output)
    said = marks(output, found)
    going = excess(found, said, keep=arguments.keep)
    sizes = {item.step: item.size_bytes for item in going}
    rows = [_values(item, said[item.step]) | {"is_removed": item in going} for item in found]
    if not arguments.dry_run:
        remove(output, going)
    if arguments.format == "json":
        print(json.dumps(rows, indent=2))
        return 0
    verb = "would remove" if arguments.dry_run else "removed"
    for item in going:
        print(f"{verb} checkpoint {item.step} ({readable_size(sizes[item.step])})")
    stay = [item for item in found if item not in going]
    texts = [" ".join([str(item.step), *(f"({mark})" for mark in said[item.step])]) for item in stay]
    print(f"kept {', '.join(texts)}" if stay else "there are no checkpoints")
    return 0


def _show(checkpoint: "Checkpoint", form: str) -> int:
    from fgc.cli.outputs import readable_size

    state = checkpoint.folder / "trainer_state.json"
    try:
        values = read_json(state) if state.is_file() else {}
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
