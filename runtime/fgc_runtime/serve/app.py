"""Models in, an ASGI application out: routes, the key check, and every error in OpenAI's form."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fgc_runtime.serve import endpoints, pages, responses_api
from fgc_runtime.serve.faults import Fault, RequestError, failure
from fgc_runtime.serve.guards import HostGuard, KeyGuard
from fgc_runtime.serve.site import Models
from fgc_runtime.serve.trace import Tracing, trace_of

_RETRY_AFTER_S = "2"  # a full queue is some seconds of work
PAGE_ROUTES = [Route("/", pages.show_chat), *(Route(path, pages.show_script) for path in ("/chat.js", "/markdown.js"))]
ROUTES = [
    Route("/health", endpoints.health),
    Route("/ready", endpoints.ready),
    Route("/openapi.json", endpoints.show_openapi),
    Route("/docs", endpoints.show_docs),
    Route("/metrics", endpoints.show_metrics),
    Route("/v1/models", endpoints.list_models),
    Route("/v1/models/{name:path}", endpoints.show_model),
    Route("/v1/completions", endpoints.complete, methods=["POST"]),
    Route("/v1/chat/completions", endpoints.chat, methods=["POST"]),
    Route("/v1/embeddings", endpoints.embed, methods=["POST"]),
    Route("/tokenizer_info", endpoints.tokenizer_info),
    Route("/v1/responses", responses_api.respond_to, methods=["POST"]),
    Route("/v1/responses/{name}", responses_api.show_response),
    Route("/v1/responses/{name}", responses_api.drop_response, methods=["DELETE"]),
    Route("/tokenize", endpoints.tokenize, methods=["POST"]),
    Route("/detokenize", endpoints.detokenize, methods=["POST"]),
]


def application(models: Models) -> Starlette:
    app = Starlette(
        routes=[*ROUTES, *(PAGE_ROUTES if models.site.has_page else ())],
        middleware=_middleware(models),
        exception_handlers={RequestError: _refuse, HTTPException: _refuse_route, Exception: _fail},
    )
    app.router.redirect_slashes = False
    app.state.models = models
    return app


def _middleware(models: Models) -> list[Middleware]:
    """From the outermost; the browser's own question before a request of a page brings no key."""
    door = models.site.door
    parts = [Middleware(Tracing, counters=models.site.counters, on_end=models.give_back)]
    if door.is_local:
        parts.append(Middleware(HostGuard, hosts=door.hosts, origins=door.origins))
    if door.origins:
        methods, headers = ("GET", "POST"), ("*",)
        parts.append(
            Middleware(CORSMiddleware, allow_origins=door.origins, allow_methods=methods, allow_headers=headers)
        )
    return [*parts, Middleware(KeyGuard, key=door.api_key)]


def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    trace_of(request.scope).blame(error.fault)
    headers = {"Retry-After": _RETRY_AFTER_S} if error.fault.status == 429 else None
    return JSONResponse(error.fault.json(), error.fault.status, headers)


def _refuse_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = f"{request.method} {request.url.path}"
    known = ", ".join(f"{sorted((route.methods or set()) - {'HEAD'})[0]} {route.path}" for route in ROUTES)
    message, code = f"Unknown request: {what}. There are {known}.", "unknown_url"
    if error.status_code == 405:
        message, code = f"Not allowed to {what}.", "method_not_allowed"
    fault = Fault(error.status_code, message, code=code)
    trace_of(request.scope).blame(fault)
    return JSONResponse(fault.json(), fault.status, error.headers)


def _fail(_: Request, error: Exception) -> Response:
    return JSONResponse(failure(f"Our own mistake: {type(error).__name__}").json(), 500)
