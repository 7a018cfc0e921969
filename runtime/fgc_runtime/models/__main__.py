"""`python -m fgc_runtime.models FOLDER`: what the model of a folder is made of, and what it costs."""

import json
import sys
from argparse import ArgumentParser, BooleanOptionalAction
from pathlib import Path

from fgc_runtime.models.folder import ModelError
from fgc_runtime.output import run_command


def main(words: list[str] | None = None) -> int:
    """Print the report; 2 if the folder holds no model."""
    options = _parser().parse_args(words)
    from fgc_runtime.models.opening import open_on_meta  # torch and transformers: seconds
    from fgc_runtime.models.report import described, text

    try:
        changes = json.loads(options.changes)
        model = open_on_meta(options.folder, changes, trust_remote_code=options.trust_remote_code)
        numbers = described(model, options)
    except ModelError as error:
        print(f"fgc model: {error}", file=sys.stderr)
        return 2
    print(json.dumps(numbers, indent=2) if options.format == "json" else text(numbers))
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m fgc_runtime.models", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="model folder or generated model package")
    parser.add_argument("--max-depth", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--sequence-length", type=int)
    parser.add_argument("--dtype")
    parser.add_argument("--optimizer", default="adamw")
    parser.add_argument("--format", default="text")
    parser.add_argument("--changes", default="{}", metavar="JSON", help="configuration fields to change")
    parser.add_argument("--trust-remote-code", action=BooleanOptionalAction, help="run code in the folder")
    return parser


def run(words: list[str] | None = None) -> int:
    """`main`, without a traceback where it is interrupted, or nobody reads on."""
    return run_command(lambda: main(words))


if __name__ == "__main__":
    sys.exit(run())
