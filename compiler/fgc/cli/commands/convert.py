"""Convert a Hugging Face model folder to a package of fgc, or a package with weights to a Hugging Face folder.

The direction follows from SRC. A package has model.yaml, the template that it was generated from: extend it to train
on. Logits of both models are compared on random tokens before DST appears. Weights are moved tensor by tensor, so
memory does not limit the size, but for the comparison (`--no-verify`). DST is complete or absent.
"""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from fgc.cli.arguments import CannotRun, add_trust

EXAMPLES = (
    "fgc convert ~/models/Llama-3.2-1B my_llama",
    "fgc convert my_llama llama_hf                    back: a folder that every Hugging Face tool reads",
    "fgc convert ~/models/gpt2 --dry-run              what goes where, and what would not fit",
    "fgc convert ~/models/Qwen3-8B q8 --dtype bfloat16 --no-verify",
)
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
USES_A_PROJECT = False


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc convert`."""
    add = parser.add_argument
    add("source", metavar="SRC", help="model folder with weights")
    add("target", metavar="DST", nargs="?", help="folder to write; `--dry-run` needs none")
    add("--to", metavar="MODEL_TYPE", help="which architecture, if a package could be several: llama, mistral, ...")
    add("--name", metavar="NAME", help="name of the package (default: from DST)")
    add("--dtype", choices=("float32", "bfloat16", "float16"), help="of the weights (default: as they are)")
    add("--max-shard-size", type=_size, default=5 * 10**9, metavar="SIZE", help="largest file (default: 5GB)")
    add(
        "--ignore",
        action="append",
        default=[],
        metavar="PATTERN",
        help="tensors to leave out, such as `vision.*`",
    )
    add("--dry-run", action="store_true", help="list what goes where, and what does not fit; write nothing")
    add("--no-verify", action="store_true", help="do not compare logits")
    add("--force", action="store_true", help="replace DST, if it holds a model")
    add_trust(parser)


def run(arguments: Namespace) -> int:
    """Convert; 1 if a dry run finds problems, 2 if it cannot be done."""
    from fgc.cli.converting import convert  # the compiler's stages: 0.15 s

    try:
        return convert(arguments)
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2


def _size(text: str) -> int:
    number = text.rstrip("KMGiBkmgb")
    unit = text[len(number) :].upper()
    if number.isdecimal() and unit in _UNITS and int(number):
        return int(number) * _UNITS[unit]
    raise ArgumentTypeError(f"{text} is not a size: a whole number with KB, MB, GB, KiB, MiB or GiB")
