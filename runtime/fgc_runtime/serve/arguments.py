"""The command line of `python -m fgc_runtime.serve`; loads nothing heavy, so that --help comes at once."""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

_EXAMPLES = """\
examples:
  fgc serve output_models/tiny_llama
  fgc serve output_models/tiny_llama/checkpoints/checkpoint-500 --port 8001
  fgc serve output_models/tiny_llama --follow              # a training that goes on
  fgc serve small=models/a large=models/b
  fgc serve my_model --adapter poet=adapters/poet --adapter cook=adapters/cook
  fgc serve my_model --device cuda --dtype bfloat16 --max-batch-size 64
  fgc serve my_model --engine vllm --tensor-parallel-size 2
  FGC_API_KEY=secret fgc serve my_model --host 0.0.0.0

where fgc is not installed, `python -m fgc_runtime.serve` is the same
exit codes: 0 after --help, 2 if it cannot start (the message says why), 130 after Ctrl-C, 143 after SIGTERM
"""


@dataclass(frozen=True, slots=True)
class Named:
    """A folder, and what requests call what is in it; without a name it is the folder's."""

    name: str | None
    folder: Path


@dataclass(frozen=True, slots=True)
class Options:
    """Holds what the command line says."""

    models: tuple[Named, ...]
    adapters: tuple[Named, ...]
    follow: bool
    host: str
    port: int
    tokenizer: Path | None
    device: str | None
    dtype: str
    attn_implementation: str | None
    chat_template: Path | None
    context_length: int | None
    threads: int | None
    max_batch_size: int
    max_body_bytes: int
    kv_memory_bytes: int | None
    drain_seconds: float
    generation_config: str
    strict: bool
    page: bool
    api_key: str | None
    allow_host: tuple[str, ...]
    cors: tuple[str, ...]
    trust_remote_code: bool | None
    log_level: str
    engine: str
    vllm_python: str | None
    tensor_parallel_size: int
    pipeline_parallel_size: int


def parse(arguments: list[str] | None = None) -> Options:
    """Read the command line; exits with 2 if it is wrong."""
    parser = _parser()
    given = vars(parser.parse_intermixed_args(arguments))
    given["models"] = _models(parser, given["models"], given.pop("model_name"))
    given["adapters"] = tuple(given["adapters"])
    if len(given["models"]) > 1 and given["tokenizer"] is not None:
        parser.error("--tokenizer is for one model: save each model's tokenizer beside it")
    if given["follow"] and given["adapters"]:
        parser.error("--follow and --adapter exclude each other: an adapter belongs to the weights it was trained on")
    given["max_body_bytes"] = given.pop("max_body_mib") * 2**20
    kv_memory_gib = given.pop("kv_memory")
    given["kv_memory_bytes"] = None if kv_memory_gib is None else int(kv_memory_gib * 2**30)
    given["allow_host"], given["cors"] = tuple(given["allow_host"]), tuple(given["cors"])
    given["api_key"] = given["api_key"] or os.environ.get("FGC_API_KEY") or None
    return Options(**given)


def _models(parser: argparse.ArgumentParser, models: list[Named], name: str | None) -> tuple[Named, ...]:
    if name is None:
        return tuple(models)
    if len(models) > 1 or models[0].name is not None:
        parser.error("--model-name is for one model; of several, each is NAME=DIR")
    return (Named(name, models[0].folder),)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fgc serve",
        description="Serve a language model over the OpenAI HTTP API.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    help = "model folder, or a training run's: its newest checkpoint is served; several are served by name"
    add("models", metavar="[NAME=]DIR", type=_named, nargs="+", help=help)
    help = "serve each newer checkpoint of the run as it appears; waits for the first one"
    add("--follow", action="store_true", help=help)
    help = "folder of a PEFT adapter of the (first) model, served under its own name (may be repeated)"
    add("--adapter", dest="adapters", metavar="NAME=DIR", type=_named, action="append", default=[], help=help)
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine only)")
    add("--port", type=_port, default=8000, help="port to listen on, 0 for a free one (default: %(default)s)")
    add("--model-name", metavar="NAME", help="what requests call the model (default: the folder's name)")
    add("--tokenizer", metavar="DIR", type=Path, help="folder of the tokenizer (default: beside the weights)")
    _add_model_options(parser)
    _add_server_options(parser)
    return parser


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--device", help="cpu, cuda, cuda:1, mps, ... (default: cuda if there is one, else cpu)")
    add("--dtype", default="auto", help="float32, bfloat16, float16 or auto: float32 on cpu, else as the weights")
    add("--threads", metavar="N", type=_positive, help="CPU threads (default: $OMP_NUM_THREADS, or all cores but one)")
    add("--attn-implementation", metavar="NAME", help="eager, sdpa, ... (default: the model's choice)")
    add("--chat-template", metavar="FILE", type=Path, help="Jinja chat template (default: the tokenizer's)")
    help = "DIR with a generation_config.json of defaults for requests, or none (default: the model's)"
    add("--generation-config", metavar="DIR|none", type=_generation_config, default="auto", help=help)
    add("--context-length", metavar="TOKENS", type=_positive, help="longest prompt and text (default: the model's)")
    add(
        "--trust-remote-code",
        action=argparse.BooleanOptionalAction,
        help="run model code in DIR (default: if fgc generated it on this machine)",
    )


def _add_server_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--max-batch-size",
        metavar="N",
        type=_positive,
        default=32,
        help="sequences that step together (default: %(default)s)",
    )
    help = "memory for keys and values of texts (default: half of what is free)"
    add("--kv-memory", metavar="GIB", type=_positive_number, help=help)
    add("--max-body-mib", metavar="MIB", type=_positive, default=16, help="largest request body (default: %(default)s)")
    add("--api-key", metavar="KEY", help="API key that requests must send (default: $FGC_API_KEY, or none)")
    help = "name of this machine that a proxy sends, beside localhost (may be repeated)"
    add("--allow-host", metavar="NAME", action="append", default=[], help=help)
    help = "site whose pages may send requests, such as https://chat.example (may be repeated)"
    add("--cors", metavar="ORIGIN", type=_origin, action="append", default=[], help=help)
    add("--strict", action="store_true", help="reject options that only other servers know, and requests without model")
    add("--no-page", dest="page", action="store_false", help="no chat page at /")
    help = "after SIGTERM, time for running requests to complete; none after Ctrl-C (default: %(default)s)"
    add("--drain-seconds", metavar="S", type=_seconds, default=25.0, help=help)
    _add_engine_options(parser)
    levels = ("critical", "error", "warning", "info", "debug")
    add("--log-level", choices=levels, default="warning", help="info lists requests; texts are never logged")


def _add_engine_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    help = "vllm starts vLLM's server; auto does so if vLLM is installed and can serve the model (default: fgc)"
    add("--engine", choices=("fgc", "vllm", "auto"), default="fgc", help=help)
    add("--vllm-python", metavar="FILE", help="Python of vLLM's environment (default: $FGC_VLLM_PYTHON, or this one)")
    help = "processes that divide the model, with vllm (default: %(default)s)"
    add("--tensor-parallel-size", metavar="N", type=_positive, default=1, help=help)
    add("--pipeline-parallel-size", metavar="N", type=_positive, default=1, help=help)


def _port(text: str) -> int:
    if text.isdecimal() and int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is not a port: 0 to 65535")


def _origin(text: str) -> str:
    scheme, separator, host = text.rstrip("/").partition("://")
    if text == "*" or (scheme and separator and host and "/" not in host):
        return text.rstrip("/")
    raise argparse.ArgumentTypeError(f"{text} is not an origin: scheme and host, such as https://chat.example")


def _named(text: str) -> Named:
    name, separator, folder = text.partition("=")
    if not separator or Path(text).exists() or "/" in name:
        return Named(None, Path(text))
    if name and folder:
        return Named(name, Path(folder))
    raise argparse.ArgumentTypeError(f"{text} is neither a folder nor NAME=FOLDER")


def _generation_config(text: str) -> str:
    if text in ("auto", "none") or Path(text, "generation_config.json").is_file():
        return text
    raise argparse.ArgumentTypeError(f"{text} is no folder with a generation_config.json, and neither auto nor none")


def _positive(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is not a positive whole number")


def _positive_number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if 0 < number < 10**6:
        return number
    raise argparse.ArgumentTypeError(f"{text} is not a positive number")


def _seconds(text: str) -> float:
    return 0.0 if text == "0" else _positive_number(text)
