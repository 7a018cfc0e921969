"""`python -m fgc_runtime.client`: find the model, then ask once or chat."""

import os
import sys
from typing import TYPE_CHECKING

from fgc_runtime.client.arguments import Options, parse
from fgc_runtime.terminal import visible, visible_line

if TYPE_CHECKING:
    from fgc_runtime.client.api import Api

_CLEAN, _REFUSED, _CANNOT_RUN, _INTERRUPTED = 0, 1, 2, 130


def main(arguments: list[str] | None = None) -> int:
    """Ask a server; the exit code."""
    try:
        options = parse(arguments)
        return _run(options)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLEAN


def _run(options: Options) -> int:
    from fgc_runtime.client.api import Api, ApiError  # httpx: 0.15 s

    try:
        with Api(options.url, api_key=options.api_key, timeout_s=options.timeout_s) as api:
            if options.is_health:
                print(visible(api.health()))
                return _CLEAN
            models = api.models()
            if options.is_model_list:
                print("\n".join(map(visible_line, models)))
                return _CLEAN
            return _ask(api, options, _model(models, options.model))
    except ApiError as error:
        print(f"fgc inf client: {visible(str(error))}", file=sys.stderr)
        return _CANNOT_RUN if error.is_unreachable else _REFUSED
    except UnicodeEncodeError:
        print("fgc inf client: the text contains bytes that are not UTF-8", file=sys.stderr)
        return _CANNOT_RUN


def _model(models: list[str], wanted: str | None) -> str:
    """The model to ask. Raises ApiError, with the names of those there are."""
    from fgc_runtime.client.api import ApiError

    if wanted is None and models:
        return models[0]
    if wanted in models:
        return str(wanted)
    served = f"it serves: {', '.join(models)}" if models else "it serves none"
    raise ApiError(f"the server has no model `{wanted}`; {served}" if wanted else "the server has no model")


def _ask(api: "Api", options: Options, model: str) -> int:
    from fgc_runtime.client.answer import show
    from fgc_runtime.client.chat import Chat
    from fgc_runtime.client.conversation import Conversation

    fields = {**options.sampling, **({"stream": True} if options.is_streamed else {})}
    if options.completion is not None:
        if options.is_echoed:
            print(options.completion, end="", flush=True)
        said = show(api.complete(model, options.completion, fields), shows_usage=options.shows_usage)
        if said.error is not None:
            raise said.error
        return _CLEAN if said.is_whole else _INTERRUPTED
    chat, conversation = Chat(api, model, options.shows_usage), Conversation(options.system, fields=fields)
    is_chat = options.is_interactive if options.is_interactive is not None else sys.stdin.isatty()
    if options.message is None and is_chat and not options.texts:
        chat.run(conversation)
        return _CLEAN
    asked = options.message
    if asked is None:
        asked = "" if sys.stdin.isatty() else sys.stdin.read()
    question = "\n\n".join([*([asked] if asked.strip() else []), *options.texts])
    if not question.strip():
        print("fgc inf client: there is nothing to ask: pass --message TEXT, or pipe a text", file=sys.stderr)
        return _CANNOT_RUN
    conversation.ask(question)
    return _CLEAN if chat.answer(conversation) else _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
