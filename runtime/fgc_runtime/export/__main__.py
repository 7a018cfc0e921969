"""`python -m fgc_runtime.export gguf SRC DST`: what `fgc convert --to gguf` runs."""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from fgc_runtime.convert.faults import ConvertError
from fgc_runtime.full_disk import file_error
from fgc_runtime.models.finding import FolderError
from fgc_runtime.models.folder import ModelError
from fgc_runtime.output import run_command
from fgc_runtime.packages import MissingExtra, require_extra
from fgc_runtime.trust import UntrustedCode

_CANNOT = 2


def main(words: list[str] | None = None) -> int:
    """Write the file; 2 if it cannot be done."""
    options = _parser().parse_args(words)
    try:
        sentences = _gguf(options)
    except (ConvertError, FolderError, MissingExtra, ModelError, UntrustedCode) as error:
        print(f"fgc convert: {error}", file=sys.stderr)
        return _CANNOT
    except OSError as error:
        print(f"fgc convert: {file_error(error)}", file=sys.stderr)
        return _CANNOT
    print("\n".join(sentences))
    return 0


def _gguf(options: Namespace) -> list[str]:
    require_extra("gguf", "GGUF", extra="gguf")
    from fgc_runtime.export.to_gguf import to_gguf  # torch and transformers: seconds

    return to_gguf(options.source, options.target, dtype=options.dtype, rule=options.rule, name=options.name)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m fgc_runtime.export", description=__doc__)
    add = parser.add_argument
    add("format", choices=("gguf",))
    add("source", type=Path, metavar="SRC")
    add("target", type=Path, metavar="DST")
    add("--name")
    add("--dtype")
    add("--rule", help="of llama.cpp's tokenizers")
    return parser


def run(words: list[str] | None = None) -> int:
    """`main`, without a traceback where it is interrupted, or nobody reads on."""
    return run_command(lambda: main(words))


if __name__ == "__main__":
    sys.exit(run())
