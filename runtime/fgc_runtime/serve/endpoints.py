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
from fgc_runtime.serve.fields import Json, check_text
from fgc_runtime.serve.requests import (
    Wishes,
    chat_request,
    completion_request,
    detokenize_request,
    tokenize_request,
)
from fgc_runtime.serve.service import Service
from fgc_runtime.serve.tools import ToolWishes
from fgc_runtime.serve.trace import trace_of
from fgc_runtime.serve.turns import Chunks, Turn, fault_of, respond

_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # an escape of half a character: usually there are two, which are one


async def health(request: Request) -> Response:
    if service_of(request).engine.is_alive:
        return JSONResponse({"status": "ok"})
    return JSONResponse({"status": "the engine has stopped"}, 503)


async def ready(request: Request) -> Response:
    """The model is loaded before the port answers: what is alive is ready until its end begins."""
    if service_of(request).ending.has_begun:
        return JSONResponse({"status": "the server is ending"}, 503)
    return await health(request)


async def list_models(request: Request) -> Response:
    service = service_of(request)
    return JSONResponse({"object": "list", "data": [_card(service)]})


async def show_model(request: Request) -> Response:
    service, name = service_of(request), request.path_params["name"]
    if name != service.model_name:
        raise faults.model_not_found(name)
    return JSONResponse(_card(service))


def _card(service: Service) -> Answer:
    return model_card(service.model_name, service.created, service.prompts.context_length)


async def show_metrics(request: Request) -> Response:
    service = service_of(request)
    page = metrics.exposition(service.counters, service.engine.load)
    return PlainTextResponse(page, media_type=metrics.CONTENT_TYPE)


async def show_openapi(request: Request) -> Response:
    needs_key = service_of(request).door.api_key is not None
    return JSONResponse(openapi.description(_version(), needs_key=needs_key))


def _version() -> str:
    try:
        return version("fgc")
    except PackageNotFoundError:  # the runtime may lie beside a program, without the package
        return "0"


async def show_docs(request: Request) -> Response:
    return HTMLResponse(openapi.page(service_of(request).model_name), headers=pages.HEADERS)


async def complete(request: Request) -> Response:
    service = service_of(request)
    asked = completion_request(await read_body(request, service.max_body_bytes))
    jobs = await service.completion_jobs(asked)
    echoes = service.echoes(asked, jobs) if asked.is_echo else None
    shape = Chunks(CompletionAnswers(head(service, asked.wishes, "cmpl-")), asked.wishes.includes_usage)
    return await respond(Turn(request, service, asked.wishes, jobs, shape, echoes))


async def chat(request: Request) -> Response:
    service = service_of(request)
    asked = chat_request(await read_body(request, service.max_body_bytes))
    jobs = await service.chat_jobs(asked)
    answers = ChatAnswers(head(service, asked.wishes, "chatcmpl-"), call_reader(service, asked.tools))
    return await respond(Turn(request, service, asked.wishes, jobs, Chunks(answers, asked.wishes.includes_usage)))


def call_reader(service: Service, tools: ToolWishes | None) -> CallReader | None:
    if tools is None:
        return None
    return CallReader(service.structures.form, frozenset(tool.name for tool in tools.tools))


async def embed(request: Request) -> Response:
    service = service_of(request)
    asked = embedding_request(await read_body(request, service.max_body_bytes), service.pooling)
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
    return JSONResponse(service_of(request).prompts.description())


async def tokenize(request: Request) -> Response:
    service = service_of(request)
    ids = await service.tokens(tokenize_request(await read_body(request, service.max_body_bytes)))
    return JSONResponse({"count": len(ids), "max_model_len": service.prompts.context_length, "tokens": ids})


async def detokenize(request: Request) -> Response:
    service = service_of(request)
    ids = detokenize_request(await read_body(request, service.max_body_bytes))
    return JSONResponse({"prompt": await service.text(ids)})


def service_of(request: Request) -> Service:
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


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
        text = raw.decode()
        value: Json = json.loads(text, parse_constant=_refuse_constant)
        if _HALF.search(text):
            check_text(value)
    except (ValueError, RecursionError) as error:
        raise faults.invalid(f"The request body is not JSON: {error}", code="invalid_json") from None
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
