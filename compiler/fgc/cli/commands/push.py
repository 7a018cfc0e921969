"""Upload a trained model to the Hugging Face Hub, with its model card.

Uploads weights, configuration, tokenizer, generated code and README.md in one commit, but not checkpoints, logs or
records of runs. It uses the login of `huggingface_hub`: `hf auth login`, or HF_TOKEN.
"""

import sys
from argparse import ArgumentParser, Namespace

from fgc.cli.arguments import CannotRun

EXAMPLES = (
    "fgc push output_models/tiny me/tiny --private",
    "fgc push output_models/tiny me/tiny --dry-run      what would go there",
    "fgc push llama_hf me/llama --revision v2 --message 'After 10,000 steps'",
)
USES_A_PROJECT = False


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc push`."""
    add = parser.add_argument
    add("folder", metavar="MODEL", help="model folder with weights and tokenizer")
    add("name", metavar="NAME", help="the repository, such as me/tiny; created if it does not exist")
    add("--private", action="store_true", help="make a new repository private")
    add("--revision", metavar="BRANCH", help="a branch (default: main)")
    add("--message", metavar="TEXT", help="message of the commit")
    add("--dry-run", action="store_true", help="list the files; upload nothing")


def run(arguments: Namespace) -> int:
    """Upload; 2 if it cannot be done."""
    from fgc.cli.runtime_process import run_module

    words = [arguments.folder, arguments.name]
    words += [f"--{name.replace('_', '-')}" for name in ("private", "dry_run") if getattr(arguments, name)]
    for name in ("revision", "message"):
        value = getattr(arguments, name)
        words += [] if value is None else [f"--{name}", value]
    try:
        return run_module("fgc_runtime.hub", words)
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2
