"""Requests made from our own `/openapi.json`, right and wrong ones: none is a fault of the server.

`make test-api` makes about 5,000.
"""

import os
from typing import Any

import hypothesis
import pytest
import schemathesis
from fgc_runtime.serve.openapi import ENDPOINTS
from hypothesis import HealthCheck
from schemathesis import GenerationMode

from tests.runtime.serve.conftest import RunningServer

NUM_EXAMPLES = int(os.environ.get("SERVE_EXAMPLES", "12"))  # of each endpoint, and of each kind
# Long texts cost time and show nothing.
SHORT = {"max_tokens": 3, "max_completion_tokens": 3, "max_output_tokens": 3, "n": 2, "best_of": 2}
QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large, HealthCheck.large_base_example]
LIMITS = {"/v1/completions": "max_tokens", "/v1/chat/completions": "max_tokens", "/v1/responses": "max_output_tokens"}
# What only a server that has been used knows.
OWN_NAMES = {"model", "previous_response_id"}
POSTS = [path for path, method, *_ in ENDPOINTS if method == "post"]


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Any:
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("path", POSTS)
def test_no_request_is_a_fault_of_the_server(api: Any, path: str, mode: Any) -> None:
    operation = api[path]["POST"]
    statuses: set[int] = set()

    @hypothesis.settings(
        max_examples=NUM_EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=QUIET
    )
    @hypothesis.given(operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        if isinstance(case.body, dict):
            case.body = {name: SHORT.get(name, value) for name, value in case.body.items()}
            if mode is GenerationMode.POSITIVE:
                case.body = likely(path, case.body)
        answer = case.call(timeout=60)
        statuses.add(answer.status_code)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert answer.json()["error"].keys() == {"message", "type", "param", "code"}

    check()
    assert mode is GenerationMode.NEGATIVE or 200 in statuses, "what the description promises is answered"


def likely(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Returns a body as it was described, less what would be refused for other reasons in nearly each example."""
    body = {name: value for name, value in body.items() if name not in OWN_NAMES}
    for message in body.get("messages", ()):
        message["role"] = "user" if message["role"] == "tool" else message["role"]  # the model's template knows none
    if path == "/tokenize":
        body = {"prompt": "a"} | body if "messages" not in body else body | {"prompt": None}
    limit = LIMITS.get(path)
    return body if limit is None else {limit: 3} | body
