"""List, show, inspect, modify, link and prune the checkpoints of a configuration's output folder.

`link` makes the model of a checkpoint loadable from the output folder, by symbolic links: `from_pretrained` and
`fgc serve` then load that checkpoint. Files that are not links are never replaced. `prune` removes old checkpoints. It
always keeps the newest, the best, and those to which links in the output folder point. Each run has its own
checkpoints; the default is the run that saved last, and `--folder` selects another.

`inspect` reads every file and says if it is unchanged. `components` shows the sizes of the parts. `modify` writes a
copy with another learning rate. The copy records the change, and a run that resumes from it continues with that rate.
"""

import json
import sys
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, Namespace
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
    "fgc checkpoint inspect latest                is it whole, and what is it",
    "fgc checkpoint modify 500 --learning-rate 1e-4 --into changed/checkpoint-500",
    "fgc checkpoint list --folder output_models/tiny",
    "fgc checkpoint list --folder output_models/tiny/runs/train_2026-11-24T13-40-00",
)

_ABOUT = ("saved_at", "step", "world_size", "metrics", "modified")


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc checkpoint`."""
    _add_output(parser, None)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="all checkpoints, the lowest step first")
    show = actions.add_parser("show", help="one checkpoint: its state and its files")
    link = actions.add_parser("link", help="link one as the model of the output folder")
    inspect = actions.add_parser("inspect", help="one checkpoint: check that no file has changed")
    components = actions.add_parser("components", help="one checkpoint: tensors, numbers and bytes of its parts")
    modify = actions.add_parser("modify", help="a copy of one with another learning rate")
    prune = actions.add_parser("prune", help="remove all but the newest, the best and the linked ones")
    for action in (show, link, inspect, components, modify):
        action.add_argument(
            "step", nargs="?", default="latest", metavar="STEP", help="a step, `latest` (default), or its folder"
        )
    link.add_argument("--into", metavar="FOLDER", help="use this folder instead of the output folder")
    modify.add_argument("--learning-rate", type=_rate, required=True, metavar="LR", help="of the first group")
    modify.add_argument("--into", required=True, metavar="FOLDER", help="the folder to write, such as x/checkpoint-500")
    prune.add_argument("--keep", type=int, required=True, metavar="N", help="how many of the newest to keep")
    prune.add_argument("--dry-run", action="store_true", help="list what would be removed; remove nothing")
    for action in (listing, show, prune, inspect, components):
        action.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
    for action in (listing, show, link, prune, inspect, components, modify):
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
    """Runs the action. Returns 2 if the checkpoint or output folder does not exist."""
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

    named = _named(arguments)
    if named is not None:
        return _one(named, arguments)
    output = Path(arguments.folder) if arguments.folder else output_folder(arguments)
    if not output.is_dir() and arguments.folder:
        raise CannotRun(f"there is no folder `{output}`")
    if arguments.action == "list":
        return _list(output, arguments.format)
    if arguments.action == "prune":
        return _prune(output, arguments)
    checkpoint = choose(output, arguments.step)
    if arguments.action != "link":
        return _one(checkpoint, arguments)
    folder = Path(arguments.into) if arguments.into else output
    names = link_model(checkpoint, folder)
    print(f"{display_path(folder)} is checkpoint {checkpoint.step} now: {', '.join(names)}")
    return 0


def _named(arguments: Namespace) -> "Checkpoint | None":
    """Returns the checkpoint if its folder is given in place of its step."""
    from fgc.cli.outputs import Checkpoint

    if arguments.action not in ("show", "inspect", "components", "modify"):
        return None
    folder = Path(arguments.step)
    number = folder.name.rpartition("-")[2]
    is_checkpoint = number.isdecimal() and folder.is_dir() and folder.name != number
    return Checkpoint(int(number), folder) if is_checkpoint else None


def _one(checkpoint: "Checkpoint", arguments: Namespace) -> int:
    """Runs an action on a single checkpoint."""
    match arguments.action:
        case "inspect":
            return _inspect(checkpoint, arguments.format)
        case "components":
            return _components(checkpoint, arguments.format)
        case "modify":
            return _modify(checkpoint, arguments)
        case _:
            return _show(checkpoint, arguments.format)


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
    """Removes surplus checkpoints, and prints which were removed and kept."""
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


def _inspect(checkpoint: "Checkpoint", form: str) -> int:
    """Reads every file. Returns 1 if one is not as it was written."""
    from fgc.cli.checkpoint_contents import manifest_of, states_of
    from fgc.cli.outputs import readable_size

    manifest = manifest_of(checkpoint.folder)
    about = {name: manifest[name] for name in _ABOUT if name in manifest}
    states = []
    if form == "text":
        print(f"checkpoint {checkpoint.step} in {checkpoint.folder}")
        for name, value in about.items():
            print(f"  {name}: {json.dumps(value)}")
    for state in states_of(checkpoint.folder, manifest):
        states.append(state)
        if form == "text":
            said = state.state if state.state in ("ok", "missing", "not listed") else f"another {state.state}"
            print(f"  {state.name:<32}{readable_size(state.size_bytes):>10}  {said}", flush=True)
    broken = [state.name for state in states if state.state not in ("ok", "not listed")]
    if form == "json":
        files = [{"name": item.name, "size_bytes": item.size_bytes, "state": item.state} for item in states]
        whole = {"step": checkpoint.step, "folder": str(checkpoint.folder), "is_whole": not broken}
        print(json.dumps({**whole, **about, "files": files}, indent=2))
    else:
        print(f"damaged: {', '.join(broken)}" if broken else "whole: every file is as it was written")
    return 1 if broken else 0


def _components(checkpoint: "Checkpoint", form: str) -> int:
    from fgc.cli.checkpoint_contents import components_of
    from fgc.cli.outputs import readable_size

    found = components_of(checkpoint.folder)
    if form == "json":
        names = ("name", "num_tensors", "num_elements", "dtypes", "size_bytes")
        print(json.dumps([{name: getattr(item, name) for name in names} for item in found], indent=2))
        return 0
    print(f"{'':<24}{'TENSORS':>9}{'NUMBERS':>16}  {'TYPES':<10}{'SIZE':>10}")
    for item in found:
        counts = (f"{item.num_tensors:,}", f"{item.num_elements:,}") if item.num_tensors else ("", "")
        size = readable_size(item.size_bytes)
        print(f"{item.name:<24}{counts[0]:>9}{counts[1]:>16}  {', '.join(item.dtypes):<10}{size:>10}")
    return 0


def _modify(checkpoint: "Checkpoint", arguments: Namespace) -> int:
    from fgc.cli.runtime_process import run_module

    target = Path(arguments.into)
    if target.exists():
        raise CannotRun(f"`{target}` is there already: nothing is replaced, name another folder")
    words = [str(checkpoint.folder), str(target), "--learning-rate", repr(arguments.learning_rate)]
    return run_module("fgc_runtime.checkpoint", words)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate < float("inf"):
        raise ArgumentTypeError(f"{text} is not a learning rate: a number of at least 0")
    return rate
