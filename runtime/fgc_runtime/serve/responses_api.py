"""The handlers of `/v1/responses`: one text by the chat's rules, in the newer API's form, kept for a next turn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fgc_runtime.serve.answers import Answer, Choice
from fgc_runtime.serve.endpoints import addressed, chat_answers, models_of
from fgc_runtime.serve.faults import Fault, RequestError
from fgc_runtime.serve.fields import Json
from fgc_runtime.serve.response_answers import ResponseAnswers
from fgc_runtime.serve.response_requests import ResponseRequest, previous_id, response_request
from fgc_runtime.serve.response_store import Kept, ResponseStore
from fgc_runtime.serve.service import Service
from fgc_runtime.serve.thoughts import ThoughtReader
from fgc_runtime.serve.turns import Turn, event, respond


async def respond_to(request: Request) -> Response:
    service, body = await addressed(request)
    previous = previous_id(body)
    earlier = () if previous is None else _kept(service.site.responses, previous).messages
    asked = response_request(body, earlier, service.defaults)
    jobs, thoughts = await service.chat_jobs(asked.chat)
    shape = NamedEvents(_answers(service, asked, thoughts))
    return await respond(Turn(request, service, asked.chat.wishes, jobs, shape))


async def show_response(request: Request) -> Response:
    return JSONResponse(_kept(models_of(request).site.responses, request.path_params["name"]).response)


async def drop_response(request: Request) -> Response:
    name = request.path_params["name"]
    if not models_of(request).site.responses.drop(name):
        raise _unknown(name)
    return JSONResponse({"id": name, "object": "response", "deleted": True})


def _answers(service: Service, asked: ResponseRequest, thoughts: ThoughtReader | None) -> ResponseAnswers:
    chat = chat_answers(service, asked.chat, "resp_", thoughts)

    def keep(response: Answer, said: Sequence[Json]) -> None:
        if asked.is_kept:
            service.site.responses.keep(chat.head.id, response, (*asked.said, *said))

    return ResponseAnswers(chat, asked.body, keep)


def _kept(responses: ResponseStore, name: str) -> Kept:
    kept = responses.find(name)
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

    def grow(self, gains: Mapping[int, Choice], used: Answer) -> bytes:
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
