"""`fgc serve --engine vllm`: this process becomes vLLM's OpenAI server, with the words that mean the same there.

vLLM pins versions of torch and transformers of its own, so it usually has an environment of its own.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import NoReturn

from fgc_runtime.serve.arguments import Options
from fgc_runtime.serve.folder import FolderError, ModelFolder
from fgc_runtime.trust import UntrustedCode, may_run_code

_SERVER = "vllm.entrypoints.openai.api_server"
_QUIET = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
_HAS_VLLM = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"


def become_vllm(folder: ModelFolder, options: Options) -> NoReturn:
    """Replace this process. Raises FolderError if vLLM is not installed, or the model is spread over two folders."""
    python = options.vllm_python or os.environ.get("FGC_VLLM_PYTHON") or sys.executable
    if folder.config != folder.weights:
        raise FolderError(
            f"{folder.weights} holds weights only, and vLLM wants a whole model folder. "
            f"Give the finished model, or copy config.json and the model's code from {folder.config} to it."
        )
    if not _has_vllm(python):
        raise FolderError(
            f"vLLM is not installed for {python}.\n"
            "Name the Python of its environment with --vllm-python or $FGC_VLLM_PYTHON; docs/guide/serving.md says how "
            "to make one. Without --engine, fgc serves the model itself."
        )
    try:
        is_trusted = may_run_code(folder.weights, is_told=options.trust_remote_code)
    except UntrustedCode as error:
        raise FolderError(str(error)) from None
    os.execve(python, command(python, folder, options, is_trusted=is_trusted), {**_environment(options), **os.environ})


def command(python: str, folder: ModelFolder, options: Options, *, is_trusted: bool) -> list[str]:
    """The command line of vLLM's server."""
    words = [python, "-P", "-m", _SERVER, "--model", str(folder.weights), "--tokenizer", str(folder.tokenizer)]
    words += ["--served-model-name", options.model_name or folder.name]
    words += ["--host", options.host, "--port", str(options.port), "--dtype", options.dtype]
    words += ["--max-num-seqs", str(options.max_batch_size), "--uvicorn-log-level", options.log_level]
    if is_trusted:
        words.append("--trust-remote-code")
    if options.context_length is not None:
        words += ["--max-model-len", str(options.context_length)]
    if options.chat_template is not None:
        words += ["--chat-template", str(options.chat_template)]
    for way, size in (("tensor", options.tensor_parallel_size), ("pipeline", options.pipeline_parallel_size)):
        if size > 1:
            words += [f"--{way}-parallel-size", str(size)]
    return words


def _environment(options: Options) -> Mapping[str, str]:
    """What the user's own environment may override; the key stays out of the list of processes."""
    return {**_QUIET, **({"VLLM_API_KEY": options.api_key} if options.api_key is not None else {})}


def _has_vllm(python: str) -> bool:
    try:
        return subprocess.run([python, "-P", "-c", _HAS_VLLM], capture_output=True, check=False).returncode == 0
    except OSError:
        return False
