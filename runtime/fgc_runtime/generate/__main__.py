"""`python -m fgc_runtime.generate DIR --prompt TEXT`: print how a model continues a text."""

import argparse
import sys
from pathlib import Path

from fgc_runtime.output import run_command
from fgc_runtime.trust import CheckedFolder, UntrustedCode, checked_folder

_EPILOG = """\
examples:
  python -m fgc_runtime.generate output_models/tiny_llama --prompt "def "
  python -m fgc_runtime.generate output_models/tiny_llama --prompt "import" --temperature 0 --max-tokens 20
"""


def main() -> int:
    """Print a continuation; 2 if the folder holds no model."""
    parser = argparse.ArgumentParser(
        prog="python -m fgc_runtime.generate",
        description="Print how a model continues a text.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="a folder that from_pretrained loads")
    parser.add_argument("--prompt", required=True, help="the text to continue")
    parser.add_argument("--max-tokens", type=int, default=80, help="length of the continuation (default: 80)")
    parser.add_argument("--temperature", type=float, default=0.7, help="0 takes the most likely token (default: 0.7)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same text (default: 0)")
    parser.add_argument(
        "--trust-remote-code",
        action=argparse.BooleanOptionalAction,
        help="run model code in DIR (default: if fgc generated it on this machine)",
    )
    options = parser.parse_args()
    if not (options.folder / "config.json").is_file():
        print(f"{options.folder} is not a model folder: it has no config.json", file=sys.stderr)
        return 2
    try:
        checked = checked_folder(options.folder, is_told=options.trust_remote_code)
    except UntrustedCode as error:
        print(error, file=sys.stderr)
        return 2
    print(_continue(options, checked))
    return 0


def _continue(options: argparse.Namespace, checked: CheckedFolder) -> str:
    from transformers import AutoModelForCausalLM, AutoTokenizer  # 2 s with torch

    from fgc_runtime.generate.continuing import continued

    tokenizer = AutoTokenizer.from_pretrained(checked.path, trust_remote_code=checked.is_trusted)
    model = AutoModelForCausalLM.from_pretrained(checked.path, trust_remote_code=checked.is_trusted)
    sampling = {"do_sample": True, "temperature": options.temperature} if options.temperature > 0 else {}
    tokens = continued(
        model, tokenizer, options.prompt, seed=options.seed, max_new_tokens=options.max_tokens, **sampling
    )
    text = tokenizer.decode(tokens, skip_special_tokens=True)
    return str(text)


if __name__ == "__main__":
    sys.exit(run_command(main))
