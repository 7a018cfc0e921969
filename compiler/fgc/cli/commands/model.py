"""Show a model: parameters per module, FLOPs per token, and the memory that it needs.

PATH is a configuration, a built model package, or a Hugging Face model folder (default: the project's configuration).
No weights are loaded or allocated: a model of any size takes seconds. The model's code runs; code in a folder runs only
if fgc generated it on this machine, or after `fgc trust`.
"""

import sys
from argparse import ArgumentParser, Namespace

from fgc.cli.arguments import CannotRun, add_trust, add_variables

EXAMPLES = (
    "fgc model config.yaml",
    "fgc model output_models/tiny_llama --max-depth 2",
    "fgc model config.yaml --batch-size 8 --sequence-length 4096 --dtype bfloat16",
    "fgc model out/tiny_llama --set num_hidden_layers=80 --set hidden_size=8192",
    "fgc model ~/models/llama-3-8b --format json | jq .memory_bytes.training",
)
TAKES_DYNAMIC_ARGUMENTS = True
_DTYPES = ("float32", "bfloat16", "float16", "float64")
_OPTIMIZERS = ("adamw", "adamw-8bit", "adafactor", "muon", "sgd-momentum", "sgd")


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc model`."""
    add = parser.add_argument
    add("file", nargs="?", metavar="PATH", help="configuration, model package or model folder")
    add_variables(parser)
    add("--max-depth", type=_positive, default=4, metavar="N", help="how deep to show modules (default: 4)")
    add("--batch-size", type=_positive, default=1, metavar="N", help="sequences per batch (default: 1)")
    add(
        "--sequence-length",
        type=_positive,
        metavar="N",
        help="tokens per sequence (default: the context length, at most 4096)",
    )
    add("--dtype", choices=_DTYPES, help="type of weights, gradients and cache (default: as saved, or float32)")
    add("--optimizer", choices=_OPTIMIZERS, default="adamw", help="optimizer whose state to count (default: adamw)")
    add("--set", action="append", default=[], metavar="FIELD=VALUE", help="another value for a configuration field")
    add("--target", metavar="NAME", help="which model, if a configuration defines several")
    add("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
    add_trust(parser)


def run(arguments: Namespace) -> int:
    """Print it; 1 if the configuration has errors, 2 if there is no model."""
    from fgc.cli.model_packages import show_model  # the compiler's stages: 0.15 s

    try:
        return show_model(arguments)
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2


def _positive(text: str) -> int:
    from argparse import ArgumentTypeError

    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise ArgumentTypeError(f"{text} is not a positive whole number")
