"""The handlers of `/v1/responses`: one text by the chat's rules, in the newer API's form, kept for a next turn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fgc_runtime.serve.answers import Answer, Choice
from fgc_runtime.serve.chat_answers import ChatAnswers
from fgc_runtime.serve.endpoints import call_reader, head, read_body, service_of
from fgc_runtime.serve.faults import Fault, RequestError
from fgc_runtime.serve.fields import Json
from fgc_runtime.serve.response_answers import ResponseAnswers
from fgc_runtime.serve.response_requests import ResponseRequest, previous_id, response_request
from fgc_runtime.serve.response_store import Kept
from fgc_runtime.serve.service import Service
from fgc_runtime.serve.turns import Turn, event, respond


async def respond_to(request: Request) -> Response:
    service = service_of(request)
    body = await read_body(request, service.max_body_bytes)
    previous = previous_id(body)
    asked = response_request(body, () if previous is None else _kept(service, previous).messages)
    jobs = await service.chat_jobs(asked.chat)
    return await respond(Turn(request, service, asked.chat.wishes, jobs, NamedEvents(_answers(service, asked))))


async def show_response(request: Request) -> Response:
    return JSONResponse(_kept(service_of(request), request.path_params["name"]).response)


async def drop_response(request: Request) -> Response:
    service, name = service_of(request), request.path_params["name"]
    if not service.responses.drop(name):
        raise _unknown(name)
    return JSONResponse({"id": name, "object": "response", "deleted": True})


def _answers(service: Service, asked: ResponseRequest) -> ResponseAnswers:
    chat = ChatAnswers(head(service, asked.chat.wishes, "resp_"), call_reader(service, asked.chat.tools))

    def keep(response: Answer, said: Sequence[Json]) -> None:
        if asked.is_kept:
            service.responses.keep(chat.head.id, response, (*asked.said, *said))

    return ResponseAnswers(chat, asked.body, keep)


def _kept(service: Service, name: str) -> Kept:
    kept = service.responses.find(name)
    if kept is None:
        raise _unknown(name)
    return kept


def _unknown(name: str) -> RequestError:
    message = f"There is no response {name!r}: the server keeps the newest ones, until it ends."
    return RequestError(Fault(404, message, "previous_response_id", "previous_response_not_found"))


@dataclass(slots=True)
class NamedEvents:
    """The shape of a response: events of many kinds."""

    answers: ResponseAnswers
    _choice: Choice = field(default_factory=Choice)

    def whole(self, choices: Sequence[Choice], used: Answer) -> Answer:
        return self.answers.whole(choices, used)

    def begin(self, num_choices: int) -> bytes:
        return b"".join(map(_named, self.answers.begin()))

    def grow(self, gains: Mapping[int, Choice]) -> bytes:
        events = b""
        for gained in gains.values():
            self._choice.grow(gained)
            events += b"".join(map(_named, self.answers.grow(gained)))
        return events

    def end(self, used: Answer) -> bytes:
        return b"".join(map(_named, self.answers.end(self._choice, used)))

    def fail(self, fault: Fault) -> bytes:
        return b"".join(map(_named, self.answers.fail(fault)))


def _named(value: Answer) -> bytes:
    return event(value, name=str(value["type"]))
