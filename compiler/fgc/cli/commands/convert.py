"""Convert a Hugging Face model folder to a package of fgc, or a package with weights to a Hugging Face folder.

The direction depends on SRC. A package contains model.yaml, the template from which it was generated: extend it to
train the model further. The logits of both models are compared on random tokens before DST is written. Weights are
converted tensor by tensor, so models may be larger than the memory, except for the comparison (`--no-verify`). DST is
complete or absent. `--to gguf` writes a file for llama.cpp, from a package or a Hugging Face folder, including
tokenizer and chat template.

With `--merge`, SRC is an adapter (LoRA), and DST is its base model with the adapter merged.
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
    add("target", metavar="DST", nargs="?", help="folder to write; not needed with `--dry-run`")
    add(
        "--to",
        metavar="MODEL_TYPE",
        help="which architecture, if a package could be several: llama, mistral, ...; or `gguf`, `gguf:MODEL_TYPE`",
    )
    add("--name", metavar="NAME", help="name of the package (default: from DST)")
    add("--dtype", choices=_DTYPES, help="type of the weights (default: unchanged); q8_0 only for GGUF")
    add("--gguf-pre", metavar="NAME", help="llama.cpp's pre-tokenizer, if fgc does not recognise it")
    add("--max-shard-size", type=_size, default=5 * 10**9, metavar="SIZE", help="largest file (default: 5GB)")
    add(
        "--ignore",
        action="append",
        default=[],
        metavar="PATTERN",
        help="tensors to omit, such as `vision.*`",
    )
    add("--merge", action="store_true", help="SRC is an adapter: merge it into its base")
    add("--base", metavar="MODEL", help="with `--merge`: the adapter's base (default: the one on which it was trained)")
    add(
        "--dry-run",
        action="store_true",
        help="list how fields and tensors would be converted, and what does not fit; write nothing",
    )
    add("--explain", action="store_true", help="show which table, fields, parts and names matched; needs no DST")
    add(
        "--templates",
        metavar="DIR",
        help="folder with your own tables in `conversions/` and the templates that they name (default: the project's)",
    )
    add("--no-verify", action="store_true", help="do not compare logits")
    add("--force", action="store_true", help="replace DST if it contains a model")
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
