"""Add tokens to a model: to its tokenizer, embeddings, head and configurations.

Tokens are given in a YAML file, or as options. New rows are the mean of the existing rows, or zero; all other weights
are unchanged. Without OUT, MODEL itself is replaced. In both cases, an error leaves the folder unchanged.
"""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from fgc.cli.arguments import CannotRun, add_trust

EXAMPLES = (
    "fgc update-vocab my_llama my_llama_chat --add-tokens tokens.yaml",
    'fgc update-vocab gpt2 gpt2_padded --pad "[PAD]" --init zero --pad-to-multiple-of 64',
    'fgc update-vocab my_llama --special "<|im_start|>" --eos "<|im_end|>" --dry-run',
)
USES_A_PROJECT = False


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc update-vocab`."""
    add = parser.add_argument
    add("source", metavar="MODEL", help="model folder with weights and tokenizer")
    add("target", metavar="OUT", nargs="?", help="folder to write (default: MODEL itself)")
    add("--add-tokens", metavar="FILE.yaml", help="bos, eos, pad, unk, special_tokens, regular_tokens")
    for role in ("bos", "eos", "pad", "unk"):
        add(f"--{role}", metavar="TOKEN", help=f"the token for {role}, added if it is not known")
    add("--special", action="append", default=[], metavar="TOKEN", help="a special token: never split, never shown")
    add("--token", action="append", default=[], metavar="TOKEN", help="an ordinary token")
    add(
        "--init",
        choices=("mean", "zero"),
        default="mean",
        help="initial values of the new rows of these options (default: mean)",
    )
    add("--pad-to-multiple-of", type=_positive, default=1, metavar="N", help="round the number of rows up")
    add("--dry-run", action="store_true", help="show ids and sizes; write nothing")
    add("--force", action="store_true", help="replace OUT if it contains a model")
    add_trust(parser)


def run(arguments: Namespace) -> int:
    """Do it; 2 if it cannot be done."""
    from fgc.cli.vocabulary import update_vocabulary  # the compiler's stages: 0.15 s

    try:
        return update_vocabulary(arguments)
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2


def _positive(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise ArgumentTypeError(f"{text} is not a positive whole number")
