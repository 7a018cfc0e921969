"""`python -m fgc_runtime.data.prepared ACTION ...`: prepare data of a generated module, show, verify."""

import json
import os
import sys
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fgc_runtime.full_disk import FULL_DISK, file_error, reason_of
from fgc_runtime.output import run_command

_TOKENIZER = "tokenizer"


def main(words: list[str] | None = None) -> int:
    """Do it; 1 if the data cannot be read, prepared or is not what the manifest says."""
    options = _parser().parse_args(words)
    try:
        actions = {"prepare": _prepare, "show": _show, "verify": _verify}
        return actions[options.action](options)
    except (ValueError, TypeError, OSError) as error:
        if os.environ.get("FGC_TRACEBACK"):
            traceback.print_exc()
        print(f"fgc data: {_reason(error, options)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if options.action == "prepare":
            print("interrupted: the same command goes on from here", file=sys.stderr)
        return 130


def _reason(error: Exception, options: Namespace) -> str:
    notes = "".join(f"\n  {note}" for note in getattr(error, "__notes__", ()))
    if isinstance(error, OSError) and error.errno in FULL_DISK and options.action == "prepare":
        return f"{options.folder}: {reason_of(error)}; with more room the same command goes on from here"
    if isinstance(error, OSError) and error.filename is not None:
        return file_error(error)
    return f"{error}{notes}"


def _prepare(options: Namespace) -> int:
    from fgc_runtime.data.packing import only_recipes  # torch and transformers: seconds
    from fgc_runtime.data.prepared.preparing import Settings, prepare, usable_cores

    with only_recipes():
        built = _constructed(options)
    tokenizer = built.get(_TOKENIZER)
    settings = Settings(options.jobs or usable_cores(), options.shard_tokens)
    for target in options.targets:
        folder, say = options.folder / target, _Progress(f"{target}: ")
        given = {"target": target, "tokenizer": tokenizer, "settings": settings, "say": say}
        manifest, is_new = prepare(built[target], folder, **given, is_forced=options.force)
        say.end()
        event = "prepared" if is_new else "already complete:"
        print(f"{event} {folder}: {_counts(manifest)}", flush=True)
    if tokenizer is not None:
        tokenizer.save_pretrained(options.folder / _TOKENIZER)
    return 0


class _Progress:
    """Lines on standard error: on a terminal, one that is written over."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._is_terminal = sys.stderr.isatty()
        self._width = 0

    def __call__(self, event: str) -> None:
        text = self._prefix + event
        if self._is_terminal:
            print(f"\r{text:<{self._width}}", end="", file=sys.stderr, flush=True)
            self._width = len(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leaves the line."""
        if self._width:
            print(f"\r{'':<{self._width}}\r", end="", file=sys.stderr, flush=True)
            self._width = 0


def _counts(manifest: Any) -> str:
    shards = len(manifest.shards)
    size = sum(shard.size_bytes for shard in manifest.shards)
    files = f"{shards:,} {'shard' if shards == 1 else 'shards'}"
    return f"{manifest.num_examples:,} examples, {manifest.num_tokens:,} tokens, {files}, {size / 1e6:,.1f} MB"


def _folders(folder: Path) -> Iterator[tuple[Path, Any]]:
    """The prepared data sets in a folder. Raises ValueError if there are none."""
    from fgc_runtime.data.prepared.manifest import MANIFEST, read_manifest  # transformers: seconds

    below = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    for found in below or [folder]:
        yield found, read_manifest(found)


def _show(options: Namespace) -> int:
    found = list(_folders(options.folder))
    if options.format == "json":
        print(json.dumps([{"folder": str(folder), **asdict(manifest)} for folder, manifest in found], indent=2))
        return 0
    for folder, manifest in found:
        print(f"{folder}: {_counts(manifest)}")
        made_by = manifest.tokenizer
        if made_by is not None:
            print(f"  tokenizer {made_by.name}, {made_by.size} tokens, sha256 {made_by.sha256[:12]}")
        for name, digest in manifest.sources.items():
            print(f"  {name} {digest}")
    return 0


def _verify(options: Namespace) -> int:
    from fgc_runtime.data.prepared.reading import require_content

    problems = 0
    for folder, manifest in _folders(options.folder):
        for shard in manifest.shards:
            try:
                require_content(folder, shard)
            except ValueError as problem:
                problems += 1
                print(f"fgc data: {problem}", file=sys.stderr)
        num = len(manifest.shards)
        print(f"{folder}: {num} shard{'s' if num != 1 else ''} read")
    return 1 if problems else 0


def _constructed(options: Namespace) -> dict[str, Any]:
    from fgc_runtime.data.__main__ import constructed

    built = constructed(options.program, options.function)
    return built if len(options.names) > 1 else {options.names[0]: built}


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m fgc_runtime.data.prepared", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    preparing = actions.add_parser("prepare")
    preparing.add_argument("program", type=Path, help="a module that `fgc data prepare` wrote")
    preparing.add_argument("--folder", type=Path, required=True)
    preparing.add_argument("--function", default="construct", help="what to call")
    preparing.add_argument("--targets", nargs="+", required=True, help="the data sets among --names")
    preparing.add_argument("--names", nargs="+", required=True, help="the names of what the function returns, in order")
    preparing.add_argument("--jobs", type=int)
    preparing.add_argument("--shard-tokens", type=int, required=True)
    preparing.add_argument("--force", action="store_true")
    showing = actions.add_parser("show")
    verifying = actions.add_parser("verify")
    for action in (showing, verifying):
        action.add_argument("folder", type=Path)
    showing.add_argument("--format", default="text")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
