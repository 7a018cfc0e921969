"""The responses API's JSON: a whole response, and the events of one that grows.

Knows no HTTP; time and identifiers come from the caller. One text becomes an item of what the model thought and an
item of words, if it has any, and an item for each call.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fgc_runtime.generate.job import PlacedToken
from fgc_runtime.serve.answers import Answer, Choice
from fgc_runtime.serve.call_reader import Call, Said
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
    _thoughts: str = ""
    _content: str = ""
    _calls: list[Call] = field(default_factory=list)
    _unsent: list[PlacedToken] = field(default_factory=list)  # scored, of words that are held back
    _opened: list[str] = field(default_factory=list)  # the items' names, in the order of the output
    _num_events: int = 0
    _has_words: bool = False
    _has_closed_thoughts: bool = False

    def whole(self, choices: Sequence[Choice], used: Answer) -> Answer:
        (choice,) = choices
        said = self.chat.said(choice.text, is_finished=True)
        return self._finished(self._items(said, choice), choice, used)

    def begin(self) -> Iterator[Answer]:
        """Yields the events before any text."""
        for kind in ("created", "in_progress"):
            yield self._event(f"response.{kind}", response=self._response([], "in_progress"))

    def grow(self, gained: Choice) -> Iterator[Answer]:
        """Yields the events of new text."""
        self._text += gained.text
        self._unsent += gained.tokens
        said = self.chat.said(self._text, is_finished=gained.finish is not None)
        if len(said.thoughts) > len(self._thoughts):
            yield from self._thought(said.thoughts[len(self._thoughts) :])
            self._thoughts = said.thoughts
        goes_on = self.chat.thoughts is not None and self.chat.thoughts.goes_on_behind_words
        if (said.content or said.calls) and not goes_on:
            yield from self._closed_thoughts("completed")
        if len(said.content) > len(self._content):
            tokens = self.chat.answer_tokens(self._text, self._unsent, is_finished=gained.finish is not None)
            self._unsent = []
            yield from self._words(said.content[len(self._content) :], tokens)
            self._content = said.content
        for number, call in enumerate(said.calls):
            yield from self._call_events(number, call)

    def end(self, choice: Choice, used: Answer) -> Iterator[Answer]:
        """Yields the events that close what is open, and the response."""
        items = self._items(Said(self._content, tuple(self._calls), self._thoughts), choice)
        items.sort(key=lambda item: self._index(str(item["id"])))
        for index, item in enumerate(items):
            if item["type"] == "reasoning":
                yield from self._closed_thoughts(str(item["status"]))
                continue
            if item["type"] == "message":
                if not self._has_words:  # the model said nothing: clients want an item to close
                    yield from self._opened_words()
                yield from self._closed_words(item)
            else:
                arguments, name = item["arguments"], item["id"]
                yield self._event(
                    "response.function_call_arguments.done", item_id=name, output_index=index, arguments=arguments
                )
            yield self._event("response.output_item.done", output_index=index, item=item)
        response = self._finished(items, choice, used)
        yield self._event(f"response.{response['status']}", response=response)

    def fail(self, fault: Fault) -> Iterator[Answer]:
        """Yields the event of a response that could not be finished."""
        error = {"code": "server_error", "message": fault.message}
        yield self._event("response.failed", response={**self._response([], "failed"), "error": error})

    def _thought(self, text: str) -> Iterator[Answer]:
        place = self._place("rs")
        if not self._thoughts:
            item = {**self._reasoning("", "in_progress"), "content": []}
            yield self._event("response.output_item.added", output_index=place["output_index"], item=item)
            yield self._event("response.content_part.added", **place, part=_thought_part(""))
        yield self._event("response.reasoning_text.delta", **place, delta=text)

    def _closed_thoughts(self, status: str) -> Iterator[Answer]:
        """Yields the events that close what was thought, once."""
        if not self._thoughts or self._has_closed_thoughts:
            return
        self._has_closed_thoughts = True
        place = self._place("rs")
        yield self._event("response.reasoning_text.done", **place, text=self._thoughts)
        yield self._event("response.content_part.done", **place, part=_thought_part(self._thoughts))
        item = self._reasoning(self._thoughts, status)
        yield self._event("response.output_item.done", output_index=place["output_index"], item=item)

    def _opened_words(self) -> Iterator[Answer]:
        self._has_words = True
        item = {**self._message("", [], "in_progress"), "content": []}
        place = self._place("msg")
        yield self._event("response.output_item.added", output_index=place["output_index"], item=item)
        yield self._event("response.content_part.added", **place, part=_part("", []))

    def _place(self, prefix: str) -> Answer:
        """Returns where the words, or thoughts, stand."""
        name = self._name(prefix)
        return {"item_id": name, "output_index": self._index(name), "content_index": 0}

    def _index(self, name: str) -> int:
        """Returns the place of an item in the output, behind those that began before."""
        if name not in self._opened:
            self._opened.append(name)
        return self._opened.index(name)

    def _words(self, text: str, tokens: Sequence[PlacedToken]) -> Iterator[Answer]:
        if not self._has_words:
            yield from self._opened_words()
        yield self._event("response.output_text.delta", **self._place("msg"), delta=text, logprobs=self._scores(tokens))

    def _closed_words(self, item: Answer) -> Iterator[Answer]:
        (part,) = _list(item["content"])
        text, scores = part["text"], part["logprobs"]
        yield self._event("response.output_text.done", **self._place("msg"), text=text, logprobs=scores)
        yield self._event("response.content_part.done", **self._place("msg"), part=part)

    def _call_events(self, number: int, call: Call) -> Iterator[Answer]:
        index = self._index(str(self._call_item(number, call)["id"]))
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

    def _items(self, said: Said, choice: Choice) -> list[dict[str, object]]:
        status = "completed" if choice.finish == "stop" else "incomplete"
        is_over = bool(said.content or said.calls)
        thoughts = [self._reasoning(said.thoughts, "completed" if is_over else status)] if said.thoughts else []
        has_words = said.content or not (said.calls or thoughts)
        scores = self._scores(self.chat.answer_tokens(choice.text, choice.tokens))
        words = [self._message(said.content, scores, status)] if has_words else []
        calls = [{**self._call_item(number, call), "status": status} for number, call in enumerate(said.calls)]
        return thoughts + words + calls

    def _reasoning(self, text: str, status: str) -> dict[str, object]:
        item = {"type": "reasoning", "id": self._name("rs"), "summary": [], "content": [_thought_part(text)]}
        return {**item, "encrypted_content": None, "status": status}

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

    def _finished(self, items: list[dict[str, object]], choice: Choice, used: Answer) -> Answer:
        is_cut = choice.finish != "stop"
        response = {
            **self._response(items, "incomplete" if is_cut else "completed"),
            "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
            "usage": {
                "input_tokens": used["prompt_tokens"],
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": used["completion_tokens"],
                "output_tokens_details": {"reasoning_tokens": self.chat.num_thinking(choice)},
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


def _thought_part(text: str) -> dict[str, object]:
    return {"type": "reasoning_text", "text": text}


def _as_message(items: Sequence[Answer]) -> Json:
    """Returns what the model said, as the chat's next turn has it."""

    def texts(kind: str) -> str:
        parts = (part for item in items if item["type"] == kind for part in _list(item["content"]))
        return "".join(str(part["text"]) for part in parts)

    calls: list[Json] = [
        {"id": str(item["call_id"]), "function": {"name": str(item["name"]), "arguments": str(item["arguments"])}}
        for item in items
        if item["type"] == "function_call"
    ]
    message: dict[str, Json] = {"role": "assistant", "content": texts("message") or None, "tool_calls": calls}
    thoughts = texts("reasoning")
    return {**message, "reasoning_content": thoughts} if thoughts else message


def _list(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value
