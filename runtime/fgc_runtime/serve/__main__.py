"""`python -m fgc_runtime.serve DIR`: check folder and port, load the model, say what is served, serve."""

import signal
import socket
import sys
from typing import TYPE_CHECKING, NoReturn

from fgc_runtime.serve.arguments import Options, parse
from fgc_runtime.serve.folder import FolderError, ModelFolder, find_model

if TYPE_CHECKING:
    from fgc_runtime.serve.loading import Loaded
    from fgc_runtime.serve.service import Service

_CANNOT_START = 2
_INTERRUPTED = 128 + signal.SIGINT
_TERMINATED = 128 + signal.SIGTERM


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; the exit code."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        folder = find_model(options.folder, options.tokenizer)
        if options.engine == "vllm":
            from fgc_runtime.serve.vllm import become_vllm

            become_vllm(folder, options)
        with _listen(options) as listener:
            _serve(folder, options, listener)
    except FolderError as error:
        print(f"fgc serve: {error}", file=sys.stderr)
        return _CANNOT_START
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


def _terminate(*_: object) -> NoReturn:
    raise SystemExit(_TERMINATED)


def _listen(options: Options) -> socket.socket:
    """Take the port before the model is loaded: if it is in use, that is known at once. Raises FolderError."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((options.host, options.port))
        listener.listen(128)
    except socket.gaierror as error:
        listener.close()
        raise FolderError(f"--host {options.host} is no address of this machine: {error.strerror}.") from error
    except OSError as error:
        listener.close()
        reason = f"port {options.port} on {options.host} cannot be used: {error.strerror or error}."
        raise FolderError(f"{reason}\nChoose another with --port, or let --port 0 find a free one.") from error
    return listener


def _serve(folder: ModelFolder, options: Options, listener: socket.socket) -> None:
    if folder.weights != options.folder:
        _say(f"Weights are from the newest checkpoint, {folder.weights}")
    template = None
    if options.chat_template is not None:
        from fgc_runtime.serve.template import read_template  # jinja2: 0.1 s

        template = read_template(options.chat_template)
    _say(f"Loading {folder.name} ...")
    from fgc_runtime.serve.loading import load, make_service  # torch and transformers: seconds
    from fgc_runtime.serve.server import LoopDelivery, run

    delivery = LoopDelivery()
    loaded = load(folder, options)
    service = make_service(folder, loaded, options, chat_template=template, deliver=delivery)
    _introduce(service, loaded, options, listener.getsockname()[1])
    run(service, listener, delivery, log_level=options.log_level, drain_s=options.drain_seconds)


def _introduce(service: "Service", loaded: "Loaded", options: Options, port: int) -> None:
    """Say what is served, where, and how to ask it."""
    model, length = loaded.model, service.prompts.context_length
    millions = model.num_parameters() / 1e6
    host = f"[{options.host}]" if ":" in options.host else options.host
    url = f"http://{host}:{port}/v1"
    _say(f"Serving {service.model_name}: {millions:.1f}M parameters, {model.dtype}, {model.device}, ", end="")
    _say(f"context of {length} tokens" if length is not None else "context without a limit")
    if service.engine.max_tokens is not None:
        _say(f"Memory for keys and values of {service.engine.max_tokens} tokens (--kv-memory GIB)")
    if service.prompts.chat_template is None:
        _say("No chat template: chat is answered by continuing the messages as plain text (--chat-template FILE)")
    if service.engine.rows_kind.__name__ == "ScaledRows":
        _say("This model scales positions by a text's length: sequences take turns instead of sharing a batch")
    elif service.engine.rows_kind.__name__ != "PackedRows":
        _say("This model's attention does not honour padding: sequences take turns instead of sharing a batch")
    if not service.door.is_local and service.door.api_key is None:
        _say("Other machines can reach this server and no key is asked for (--api-key KEY)")
    if service.has_page and service.generates:
        _say(f"Chat page at {url.removesuffix('v1')}")
    _say(f"OpenAI API at {url}, Ctrl-C ends\n\n{_curl(url, service)}\n")


def _curl(url: str, service: "Service") -> str:
    key = " -H 'Authorization: Bearer '$FGC_API_KEY" if service.door.api_key is not None else ""
    body = f'{{"model": "{service.model_name}", "prompt": "Once upon a time", "max_tokens": 32}}'
    return f"curl {url}/completions{key} -H 'Content-Type: application/json' -d '{body}'"


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)


if __name__ == "__main__":
    sys.exit(main())
