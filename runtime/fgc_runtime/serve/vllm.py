"""`fgc serve --engine vllm`: this process becomes vLLM's OpenAI server, with the words that mean the same there.

vLLM pins versions of torch and transformers of its own, so it usually has an environment of its own.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from fgc_runtime.models.finding import FolderError, ModelFolder
from fgc_runtime.serve.arguments import Options
from fgc_runtime.serve.call_formats import FORMATS, format_of
from fgc_runtime.trust import UntrustedCode, may_run_code

_SERVER = "vllm.entrypoints.openai.api_server"
_QUIET = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
# vLLM's parser of a family in `FORMATS`. Without one, vLLM refuses requests with tools, instead of reading no call.
_TOOL_PARSERS = {
    **dict.fromkeys(("mistral", "mistral-id", "mistral-list"), "mistral"),
    "hermes": "hermes",
    "llama3": "llama3_json",
}
_HAS_VLLM = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"


def become_vllm(folders: Sequence[ModelFolder], options: Options) -> NoReturn:
    """Replace this process. Raises FolderError if vLLM is not installed, or cannot serve what is asked."""
    if (reason := obstacle(folders, options)) is not None:
        raise FolderError(reason)
    (folder,) = folders
    try:
        is_trusted = may_run_code(folder.weights, is_told=options.trust_remote_code)
    except UntrustedCode as error:
        raise FolderError(str(error)) from None
    if ignored := left_out(options):
        print(f"Left out, as vLLM has nothing like it: {', '.join(ignored)}", flush=True)
    python = _python(options)
    os.execve(python, command(python, folder, options, is_trusted=is_trusted), {**_environment(options), **os.environ})


def obstacle(folders: Sequence[ModelFolder], options: Options) -> str | None:
    """Returns why vLLM cannot serve this; None if it can. Nothing is loaded."""
    if options.follow or len(folders) > 1:
        return "vLLM serves one model, and no training that goes on: leave out --follow and further models."
    folder, python = folders[0], _python(options)
    if folder.config != folder.weights:
        return (
            f"{folder.weights} holds weights only, and vLLM wants a whole model folder. "
            f"Give the finished model, or copy config.json and the model's code from {folder.config} to it."
        )
    if not _has_vllm(python):
        return (
            f"vLLM is not installed for {python}.\n"
            "Name the Python of its environment with --vllm-python or $FGC_VLLM_PYTHON; docs/guide/serving.md says how "
            "to make one. Without --engine, fgc serves the model itself."
        )
    return None


def breach(folder: ModelFolder, options: Options) -> str | None:
    """Returns where a model breaks the contract of vLLM's Transformers backend; None if it keeps it."""
    from fgc_runtime.models.folder import ModelError
    from fgc_runtime.models.opening import open_on_meta  # torch and transformers: seconds
    from fgc_runtime.models.plans import plan_problems

    try:
        problems = plan_problems(open_on_meta(folder.weights, {}, trust_remote_code=options.trust_remote_code))
    except ModelError as error:  # what cannot be opened here is no promise for there
        return str(error).partition("\n")[0]
    return problems[0] if problems else None


def left_out(options: Options) -> list[str]:
    """Returns the options that vLLM has no counterpart for."""
    given = {
        "--threads": options.threads is not None,
        "--device": options.device is not None,
        "--attn-implementation": options.attn_implementation is not None,
        "--allow-host": bool(options.allow_host),
        "--strict": options.strict,
    }
    return [name for name, is_given in given.items() if is_given]


def _python(options: Options) -> str:
    return options.vllm_python or os.environ.get("FGC_VLLM_PYTHON") or sys.executable


def command(python: str, folder: ModelFolder, options: Options, *, is_trusted: bool) -> list[str]:
    """Returns the command line of vLLM's server."""
    words = [python, "-P", "-m", _SERVER, "--model", str(folder.weights), "--tokenizer", str(folder.tokenizer)]
    words += ["--served-model-name", options.models[0].name or folder.name]
    words += ["--host", options.host, "--port", str(options.port), "--dtype", options.dtype]
    words += ["--max-num-seqs", str(options.max_batch_size), "--uvicorn-log-level", options.log_level]
    words += ["--allowed-origins", json.dumps(options.cors)]  # vLLM's default are all
    if is_trusted:
        words.append("--trust-remote-code")
    if options.context_length is not None:
        words += ["--max-model-len", str(options.context_length)]
    if options.kv_memory_bytes is not None:
        words += ["--kv-cache-memory-bytes", str(options.kv_memory_bytes)]
    if options.chat_template is not None:
        words += ["--chat-template", str(options.chat_template)]
    if options.generation_config != "auto":
        words += ["--generation-config", {"none": "vllm"}.get(options.generation_config, options.generation_config)]
    for way, size in (("tensor", options.tensor_parallel_size), ("pipeline", options.pipeline_parallel_size)):
        if size > 1:
            words += [f"--{way}-parallel-size", str(size)]
    return [*words, *_tool_words(folder, options), *_adapter_words(options)]


def _tool_words(folder: ModelFolder, options: Options) -> list[str]:
    """Returns how calls of tools are read, by the chat template's family, as fgc's own engine finds it."""
    form = format_of(_template(folder, options))
    parser = next((parser for name, parser in _TOOL_PARSERS.items() if FORMATS[name] is form), None)
    return [] if parser is None else ["--enable-auto-tool-choice", "--tool-call-parser", parser]


def _template(folder: ModelFolder, options: Options) -> str | None:
    for path in (options.chat_template, folder.tokenizer / "chat_template.jinja"):
        if path is not None and path.is_file():
            return path.read_text(encoding="utf-8", errors="replace")
    return None


def _adapter_words(options: Options) -> list[str]:
    pairs = [f"{each.name or each.folder.resolve().name}={each.folder}" for each in options.adapters]
    return ["--enable-lora", "--lora-modules", *pairs] if pairs else []


def _environment(options: Options) -> Mapping[str, str]:
    """Returns what the user's own environment may override; the key stays out of the list of processes."""
    return {**_QUIET, **({"VLLM_API_KEY": options.api_key} if options.api_key is not None else {})}


def _has_vllm(python: str) -> bool:
    try:
        return subprocess.run([python, "-P", "-c", _HAS_VLLM], capture_output=True, check=False).returncode == 0
    except OSError:
        return False
