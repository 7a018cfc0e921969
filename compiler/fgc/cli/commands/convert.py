"""Convert a Hugging Face model folder to a package of fgc, or a package with weights to a Hugging Face folder.

The direction follows from SRC. A package has model.yaml, the template that it was generated from: extend it to train
on. Logits of both models are compared on random tokens before DST appears. Weights are moved tensor by tensor, so
memory does not limit the size, but for the comparison (`--no-verify`). DST is complete or absent. `--to gguf` writes a
file for llama.cpp, from a package or a Hugging Face folder, tokenizer and chat template included.

With `--merge`, SRC is an adapter (LoRA), and DST becomes the model that the adapter and its base are together.
"""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from fgc.cli.arguments import CannotRun, add_trust

EXAMPLES = (
    "fgc convert ~/models/Llama-3.2-1B my_llama",
    "fgc convert my_llama llama_hf                    back: a folder that every Hugging Face tool reads",
    "fgc convert ~/models/gpt2 --dry-run              what goes where, and what would not fit",
    "fgc convert ~/models/Qwen3-8B q8 --dtype bfloat16 --no-verify",
    "fgc convert my_llama --explain                   which table it is, and why not another",
    "fgc convert --merge output_models/my_lora merged          adapter and base as one model",
    "fgc convert --merge my_lora merged --base ~/models/Llama-3.2-1B",
    "fgc convert output_models/tiny tiny.gguf --to gguf --dtype float16",
)
_DTYPES = ("float32", "bfloat16", "float16", "q8_0")
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc convert`."""
    add = parser.add_argument
    add("source", metavar="SRC", help="model folder with weights")
    add("target", metavar="DST", nargs="?", help="folder to write; `--dry-run` needs none")
    add(
        "--to",
        metavar="MODEL_TYPE",
        help="which architecture, if a package could be several: llama, mistral, ...; or `gguf`, `gguf:MODEL_TYPE`",
    )
    add("--name", metavar="NAME", help="name of the package (default: from DST)")
    add("--dtype", choices=_DTYPES, help="of the weights (default: as they are); q8_0 for GGUF alone")
    add("--gguf-pre", metavar="NAME", help="llama.cpp's rule by which texts are cut, where fgc does not know it")
    add("--max-shard-size", type=_size, default=5 * 10**9, metavar="SIZE", help="largest file (default: 5GB)")
    add(
        "--ignore",
        action="append",
        default=[],
        metavar="PATTERN",
        help="tensors to leave out, such as `vision.*`",
    )
    add("--merge", action="store_true", help="SRC is an adapter: write the model that it and its base are together")
    add("--base", metavar="MODEL", help="with `--merge`: the adapter's base (default: as it was trained on)")
    add("--dry-run", action="store_true", help="list what goes where, and what does not fit; write nothing")
    add("--explain", action="store_true", help="say which table, fields, parts and names matched; needs no DST")
    add(
        "--templates",
        metavar="DIR",
        help="folder with tables of yours in `conversions/` and the templates that they name (default: the project's)",
    )
    add("--no-verify", action="store_true", help="do not compare logits")
    add("--force", action="store_true", help="replace DST, if it holds a model")
    add_trust(parser)


def run(arguments: Namespace) -> int:
    """Convert; 1 if a dry run finds problems, 2 if it cannot be done."""
    from fgc.cli.converting import convert  # the compiler's stages: 0.15 s
    from fgc.cli.select import report
    from fgc.workspace import ProjectError

    try:
        return convert(arguments)
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2
    except ProjectError as error:
        report(error.diagnostics)
        return 2


def _size(text: str) -> int:
    number = text.rstrip("KMGiBkmgb")
    unit = text[len(number) :].upper()
    if number.isdecimal() and unit in _UNITS and int(number):
        return int(number) * _UNITS[unit]
    raise ArgumentTypeError(f"{text} is not a size: a whole number with KB, MB, GB, KiB, MiB or GiB")
