"""`python -m fgc_runtime.serve DIR`: check folder and port, load the model, say what is served, serve."""

import signal
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from fgc_runtime.models.finding import FolderError, ModelFolder, check_adapter, find_model, find_newest
from fgc_runtime.output import run_command
from fgc_runtime.serve.arguments import Named, Options, parse

if TYPE_CHECKING:
    import asyncio

    from fgc_runtime.serve.following import Follower
    from fgc_runtime.serve.service import Service
    from fgc_runtime.serve.site import Models
    from fgc_runtime.serve.workshop import Workshop

_CANNOT_START = 2
_INTERRUPTED = 128 + signal.SIGINT
_TERMINATED = 128 + signal.SIGTERM


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; the exit code."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        for adapter in options.adapters:
            check_adapter(adapter.folder)
        folders = [_found(each, options) for each in options.models]
        for adapter in options.adapters:
            _require_base(adapter, folders[0])
        if options.engine != "fgc":
            _become_vllm(folders, options)
        with _listen(options) as listener:
            _serve(folders, options, listener)
    except FolderError as error:
        print(f"fgc serve: {error}", file=sys.stderr)
        return _CANNOT_START
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


def _become_vllm(folders: Sequence[ModelFolder], options: Options) -> None:
    """Become vLLM's server; with `auto` return where it cannot serve this, and say why. Raises FolderError."""
    from fgc_runtime.serve.vllm import become_vllm, breach, obstacle

    if options.engine == "auto":
        reason = obstacle(folders, options) or breach(folders[0], options)
        if reason is not None:
            _say(f"Serving without vLLM: {reason.partition(chr(10))[0]}")
            return
        _say("Serving with vLLM")
    become_vllm(folders, options)


def _found(named: Named, options: Options) -> ModelFolder:
    if not options.follow:
        return find_model(named.folder, options.tokenizer)
    from fgc_runtime.serve.following import first_model

    return first_model(lambda: find_newest(named.folder, options.tokenizer), _say)


def _require_base(adapter: Named, folder: ModelFolder) -> None:
    """Raises FolderError for an adapter that was trained on other weights than the (first) model's."""
    from fgc_runtime.finetune.adapters import require_weights  # torch and transformers: seconds

    try:
        require_weights(adapter.folder, folder.weights)
    except (OSError, ValueError) as error:
        raise FolderError(str(error)) from None


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


def _serve(folders: Sequence[ModelFolder], options: Options, listener: socket.socket) -> None:
    for named, folder in zip(options.models, folders, strict=True):
        if folder.weights != named.folder:
            _say(f"Weights are from the newest checkpoint, {folder.weights}")
    template = None
    if options.chat_template is not None:
        from fgc_runtime.serve.template import read_template  # jinja2: 0.1 s

        template = read_template(options.chat_template)
    _say(f"Loading {', '.join(folder.name for folder in folders)} ...")
    from fgc_runtime.serve.loading import make_site, use_threads  # torch and transformers: seconds
    from fgc_runtime.serve.server import LoopDelivery, run
    from fgc_runtime.serve.workshop import Workshop

    use_threads(options.threads)
    delivery = LoopDelivery()
    workshop = Workshop(options, make_site(options), template, delivery)
    models = workshop.models(folders)
    _introduce(models, options, listener.getsockname()[1])
    followers = _followers(folders, options, workshop, models) if options.follow else []

    def follow(loop: "asyncio.AbstractEventLoop") -> None:
        for follower in followers:
            follower.start(loop)

    run(models, listener, delivery, log_level=options.log_level, drain_s=options.drain_seconds, beside=follow)


def _followers(
    folders: Sequence[ModelFolder], options: Options, workshop: "Workshop", models: "Models"
) -> list["Follower"]:
    from fgc_runtime.serve.following import Follower

    names = [service.model_name for service in models.all]
    return [
        Follower(named.folder, options.tokenizer, name, folder, workshop.service, models, _say)
        for named, name, folder in zip(options.models, names, folders, strict=True)
    ]


def _introduce(models: "Models", options: Options, port: int) -> None:
    """Say what is served, where, and how to ask it."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    url, door = f"http://{host}:{port}/v1", models.site.door
    for service in models.all:
        _introduce_model(service)
    if not door.is_local and door.api_key is None:
        _say("Other machines can reach this server and no key is asked for (--api-key KEY)")
    if models.site.has_page and models.first.generates:
        _say(f"Chat page at {url.removesuffix('v1')}")
    _say(f"OpenAI API at {url}, Ctrl-C ends\n\n{_curl(url, models.first)}\n")


def _introduce_model(service: "Service") -> None:
    model, length = service.engine.model, service.prompts.context_length
    millions = model.num_parameters() / 1e6
    of = "" if service.parent is None else f" (adapter of {service.parent})"
    _say(f"Serving {service.model_name}{of}: {millions:.1f}M parameters, {model.dtype}, {model.device}, ", end="")
    _say(f"context of {length} tokens" if length is not None else "context without a limit")
    if service.engine.max_tokens is not None:
        _say(f"Memory for keys and values of {service.engine.max_tokens} tokens (--kv-memory GIB)")
    if told := service.defaults.told:
        _say(f"Where a request is silent: {told} (generation_config.json; --generation-config none)")
    if service.defaults.undone:
        _say(f"Not followed of generation_config.json: {', '.join(service.defaults.undone)}")
    if service.prompts.chat_template is None:
        _say("No chat template: chat is answered by continuing the messages as plain text (--chat-template FILE)")
    if limit := service.engine.rows_kind.limit:
        _say(limit)


def _curl(url: str, service: "Service") -> str:
    key = " -H 'Authorization: Bearer '$FGC_API_KEY" if service.site.door.api_key is not None else ""
    body = f'{{"model": "{service.model_name}", "prompt": "Once upon a time", "max_tokens": 32}}'
    return f"curl {url}/completions{key} -H 'Content-Type: application/json' -d '{body}'"


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)


if __name__ == "__main__":
    sys.exit(run_command(main))
