"""The responses API's JSON: a whole response, and the events of one that grows.

Knows no HTTP; time and identifiers come from the caller. One text becomes an item of words, if it has any, and an
item for each call.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fgc_runtime.generate.job import Finish, PlacedToken
from fgc_runtime.serve.answers import Answer, Choice
from fgc_runtime.serve.call_reader import Call
from fgc_runtime.serve.chat_answers import ChatAnswers
from fgc_runtime.serve.faults import Fault
from fgc_runtime.serve.fields import Json

_REPEATED = ("instructions", "max_output_tokens", "metadata", "previous_response_id", "temperature", "top_p", "user")
# What a response of OpenAI has and this server knows nothing of: clients read these fields without looking.
_ABSENT = [
    "access_programs",
    "completed_at",
    "conversation",
    "image",
    "input_transformations",
    "max_tool_calls",
    "moderation",
    "prompt",
    "prompt_cache_diagnostics",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "tool_usage",
    "top_logprobs",
]
Keep = Callable[[Answer, Sequence[Json]], None]


@dataclass(slots=True)
class ResponseAnswers:
    """`asked` is the request's body; `keep` takes the response and what the model said, as messages, at the end."""

    chat: ChatAnswers
    asked: Mapping[str, Json]
    keep: Keep
    _text: str = ""
    _content: str = ""
    _calls: list[Call] = field(default_factory=list)
    _num_events: int = 0
    _has_words: bool = False

    def whole(self, choices: Sequence[Choice], used: Answer) -> Answer:
        (choice,) = choices
        said = self.chat.said(choice.text, is_finished=True)
        scores = self._scores(choice.tokens)
        items = self._items(said.content, said.calls, scores, choice.finish)
        return self._finished(items, choice.finish, used)

    def begin(self) -> Iterator[Answer]:
        """Yields the events before any text."""
        for kind in ("created", "in_progress"):
            yield self._event(f"response.{kind}", response=self._response([], "in_progress"))

    def grow(self, gained: Choice) -> Iterator[Answer]:
        """Yields the events of new text."""
        self._text += gained.text
        said = self.chat.said(self._text, is_finished=gained.finish is not None)
        if len(said.content) > len(self._content):
            yield from self._words(said.content[len(self._content) :], gained.tokens)
            self._content = said.content
        for number, call in enumerate(said.calls):
            yield from self._call_events(number, call)

    def end(self, choice: Choice, used: Answer) -> Iterator[Answer]:
        """Yields the events that close what is open, and the response."""
        items = self._items(self._content, self._calls, self._scores(choice.tokens), choice.finish)
        for index, item in enumerate(items):
            if item["type"] == "message":
                yield from self._closed_words(item)
            else:
                arguments, name = item["arguments"], item["id"]
                yield self._event(
                    "response.function_call_arguments.done", item_id=name, output_index=index, arguments=arguments
                )
            yield self._event("response.output_item.done", output_index=index, item=item)
        response = self._finished(items, choice.finish, used)
        yield self._event(f"response.{response['status']}", response=response)

    def fail(self, fault: Fault) -> Iterator[Answer]:
        """Yields the event of a response that could not be finished."""
        error = {"code": "server_error", "message": fault.message}
        yield self._event("response.failed", response={**self._response([], "failed"), "error": error})

    def _words(self, text: str, tokens: Sequence[PlacedToken]) -> Iterator[Answer]:
        place = {"item_id": self._name("msg"), "output_index": 0, "content_index": 0}
        if not self._has_words:
            self._has_words = True
            item = {**self._message("", [], "in_progress"), "content": []}
            yield self._event("response.output_item.added", output_index=0, item=item)
            yield self._event("response.content_part.added", **place, part=_part("", []))
        yield self._event("response.output_text.delta", **place, delta=text, logprobs=self._scores(tokens))

    def _closed_words(self, item: Answer) -> Iterator[Answer]:
        (part,) = _list(item["content"])
        place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
        yield self._event("response.output_text.done", **place, text=part["text"], logprobs=part["logprobs"])
        yield self._event("response.content_part.done", **place, part=part)

    def _call_events(self, number: int, call: Call) -> Iterator[Answer]:
        index = number + self._has_words
        if number == len(self._calls):
            self._calls.append(Call(call.name, ""))
            item = {**self._call_item(number, Call(call.name, "")), "status": "in_progress"}
            yield self._event("response.output_item.added", output_index=index, item=item)
        gained = call.arguments[len(self._calls[number].arguments) :]
        self._calls[number] = call
        if gained:
            name = self._call_item(number, call)["id"]
            yield self._event("response.function_call_arguments.delta", item_id=name, output_index=index, delta=gained)

    def _event(self, kind: str, **values: object) -> Answer:
        self._num_events += 1
        return {"type": kind, "sequence_number": self._num_events - 1, **values}

    def _items(
        self, content: str, calls: Sequence[Call], scores: Sequence[Answer], finish: Finish | None
    ) -> list[dict[str, object]]:
        status = "completed" if finish == "stop" else "incomplete"
        words = [self._message(content, scores, status)] if content or not calls else []
        return words + [{**self._call_item(number, call), "status": status} for number, call in enumerate(calls)]

    def _message(self, text: str, scores: Sequence[Answer], status: str) -> dict[str, object]:
        content = [_part(text, scores)]
        return {"type": "message", "id": self._name("msg"), "role": "assistant", "status": status, "content": content}

    def _call_item(self, number: int, call: Call) -> dict[str, object]:
        name = self.chat.call_id(0, number)
        item = {"type": "function_call", "id": f"fc_{name}", "call_id": name}
        return {**item, "name": call.name, "arguments": call.arguments}

    def _scores(self, tokens: Sequence[PlacedToken]) -> list[Answer]:
        return self.chat.scores(tokens) if self.chat.head.is_scored else []

    def _name(self, prefix: str) -> str:
        return f"{prefix}_{self.chat.head.id.removeprefix('resp_')}"

    def _finished(self, items: list[dict[str, object]], finish: Finish | None, used: Answer) -> Answer:
        is_cut = finish != "stop"
        response = {
            **self._response(items, "incomplete" if is_cut else "completed"),
            "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
            "usage": {
                "input_tokens": used["prompt_tokens"],
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": used["completion_tokens"],
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": used["total_tokens"],
            },
        }
        self.keep(response, [_as_message(items)])
        return response

    def _response(self, items: Sequence[Answer], status: str) -> dict[str, object]:
        head, asked = self.chat.head, self.asked
        is_parallel = asked.get("parallel_tool_calls")
        return {
            "id": head.id,
            "object": "response",
            "created_at": head.created,
            "status": status,
            "model": head.model,
            "output": items,
            "error": None,
            "incomplete_details": None,
            "usage": None,
            "parallel_tool_calls": True if is_parallel is None else is_parallel,
            "tool_choice": asked.get("tool_choice") or "auto",
            "tools": [{"strict": None, **tool} for tool in _list(asked.get("tools") or [])],
            "text": asked.get("text") or {"format": {"type": "text"}},
            "truncation": "disabled",
            "store": asked.get("store") is not False,
            **dict.fromkeys(_ABSENT),
            **{name: asked.get(name) for name in _REPEATED},
            "background": False,
            "service_tier": "default",
            "metadata": asked.get("metadata") or {},
        }


def _part(text: str, scores: Sequence[Answer]) -> dict[str, object]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": scores}


def _as_message(items: Sequence[Answer]) -> Json:
    """What the model said, as the chat's next turn has it."""
    words = "".join(str(part["text"]) for item in items for part in _list(item.get("content") or []))
    calls: list[Json] = [
        {"id": str(item["call_id"]), "function": {"name": str(item["name"]), "arguments": str(item["arguments"])}}
        for item in items
        if item["type"] == "function_call"
    ]
    return {"role": "assistant", "content": words or None, "tool_calls": calls}


def _list(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value
