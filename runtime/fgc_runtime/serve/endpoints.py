"""The HTTP handlers: a request in, checked, and answered by its turn."""

import json
import re
import time
import uuid
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from fgc_runtime.serve import faults, metrics, openapi, pages
from fgc_runtime.serve.answers import Answer, CompletionAnswers, Head, model_card
from fgc_runtime.serve.call_reader import CallReader
from fgc_runtime.serve.chat_answers import ChatAnswers
from fgc_runtime.serve.embeddings import embed as embed_text
from fgc_runtime.serve.embeddings import embedding_request, written
from fgc_runtime.serve.exchange import JobFailed, computed
from fgc_runtime.serve.fields import Fields, Json, check_text
from fgc_runtime.serve.requests import (
    ChatRequest,
    Wishes,
    chat_request,
    completion_request,
    detokenize_request,
    tokenize_request,
)
from fgc_runtime.serve.service import Service
from fgc_runtime.serve.site import Models
from fgc_runtime.serve.thoughts import ThoughtReader
from fgc_runtime.serve.tools import ToolWishes
from fgc_runtime.serve.trace import trace_of
from fgc_runtime.serve.turns import Chunks, Turn, fault_of, respond

_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # an escape of half a character: usually there are two, which are one


async def health(request: Request) -> Response:
    if models_of(request).is_alive:
        return JSONResponse({"status": "ok"})
    return JSONResponse({"status": "the engine has stopped"}, 503)


async def ready(request: Request) -> Response:
    """The model is loaded before the port answers: what is alive is ready until its end begins."""
    if models_of(request).site.ending.has_begun:
        return JSONResponse({"status": "the server is ending"}, 503)
    return await health(request)


async def list_models(request: Request) -> Response:
    return JSONResponse({"object": "list", "data": [_card(service) for service in models_of(request).all]})


async def show_model(request: Request) -> Response:
    return JSONResponse(_card(models_of(request).find(request.path_params["name"])))


def _card(service: Service) -> Answer:
    card = model_card(service.model_name, service.created, service.prompts.context_length)
    return {**card, "parent": service.parent, "checkpoint": service.checkpoint}


async def show_metrics(request: Request) -> Response:
    models = models_of(request)
    page = metrics.exposition(models.site.counters, models.load())
    return PlainTextResponse(page, media_type=metrics.CONTENT_TYPE)


async def show_openapi(request: Request) -> Response:
    needs_key = models_of(request).site.door.api_key is not None
    return JSONResponse(openapi.description(_version(), needs_key=needs_key))


def _version() -> str:
    try:
        return version("fgc")
    except PackageNotFoundError:  # the runtime may lie beside a program, without the package
        return "0"


async def show_docs(request: Request) -> Response:
    return HTMLResponse(openapi.page(models_of(request).first.model_name), headers=pages.HEADERS)


async def complete(request: Request) -> Response:
    service, body = await addressed(request)
    asked = completion_request(body, service.defaults)
    jobs = await service.completion_jobs(asked)
    echoes = service.echoes(asked, jobs) if asked.is_echo else None
    shape = Chunks(CompletionAnswers(head(service, asked.wishes, "cmpl-")), asked.wishes.usage)
    return await respond(Turn(request, service, asked.wishes, jobs, shape, echoes, asked.num_best))


async def chat(request: Request) -> Response:
    service, body = await addressed(request)
    asked = chat_request(body, service.defaults)
    jobs, thoughts = await service.chat_jobs(asked)
    answers = chat_answers(service, asked, "chatcmpl-", thoughts)
    return await respond(Turn(request, service, asked.wishes, jobs, Chunks(answers, asked.wishes.usage)))


def chat_answers(service: Service, asked: ChatRequest, prefix: str, thoughts: ThoughtReader | None) -> ChatAnswers:
    """Returns the shape of an answer to a chat."""
    reader = None if asked.tools is None else _call_reader(service, asked.tools)
    return ChatAnswers(head(service, asked.wishes, prefix), reader, thoughts, asked.thoughts)


def _call_reader(service: Service, tools: ToolWishes) -> CallReader:
    schemas = {tool.name: tool.parameters for tool in tools.tools}
    return CallReader(service.structures.form, schemas, max_calls=1 if tools.is_parallel is False else None)


async def embed(request: Request) -> Response:
    service, body = await addressed(request)
    asked = embedding_request(body, service.pooling)
    texts = await service.embedding_texts(asked)
    trace_of(request.scope).count(sum(map(len, texts)), 0)
    rows = []
    try:
        for index, ids in enumerate(texts):
            vector = await computed(service.engine, partial(embed_text, ids=ids, request=asked))
            rows.append(
                {"object": "embedding", "index": index, "embedding": written(vector, is_base64=asked.is_base64)}
            )
    except JobFailed as error:
        raise faults.RequestError(fault_of(error.failure)) from None
    used = {"prompt_tokens": sum(map(len, texts)), "total_tokens": sum(map(len, texts))}
    return JSONResponse({"object": "list", "data": rows, "model": service.model_name, "usage": used})


async def tokenizer_info(request: Request) -> Response:
    """The tokenizer with its chat template, for clients that render prompts themselves."""
    return JSONResponse(models_of(request).find(request.query_params.get("model")).prompts.description())


async def tokenize(request: Request) -> Response:
    service, body = await addressed(request)
    ids = await service.tokens(tokenize_request(body))
    return JSONResponse({"count": len(ids), "max_model_len": service.prompts.context_length, "tokens": ids})


async def detokenize(request: Request) -> Response:
    service, body = await addressed(request)
    return JSONResponse({"prompt": await service.text(detokenize_request(body))})


def models_of(request: Request) -> Models:
    models = request.app.state.models
    assert isinstance(models, Models)
    return models


async def addressed(request: Request) -> tuple[Service, Json]:
    """Returns the model that a request's body names, which stays until its end, and the body. Raises RequestError."""
    models = models_of(request)
    body = await read_body(request, models.site.max_body_bytes)
    return models.lend(Fields(body).text("model"), request.scope), body


def head(service: Service, wishes: Wishes, prefix: str) -> Head:
    is_scored = wishes.num_top is not None
    return Head(f"{prefix}{uuid.uuid4().hex}", int(time.time()), service.model_name, service.names, is_scored)


async def read_body(request: Request, max_bytes: int) -> Json:
    """The request's JSON. Raises RequestError."""
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > max_bytes:
            raise faults.too_large(max_bytes)
    try:
        text = raw.decode("utf-8-sig")  # some clients on Windows begin with a mark
        value: Json = json.loads(text, parse_constant=_refuse_constant)
        if _HALF.search(text):
            check_text(value)
    except (ValueError, RecursionError) as error:
        raise faults.invalid(f"The request body is not JSON: {error}", code="invalid_json") from None
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
