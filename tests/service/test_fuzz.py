"""Whatever is sent, the service does not break: cases made from its own OpenAPI."""

import pytest
import schemathesis
from app import app_of
from hypothesis import HealthCheck, given, settings
from openapi import PATHS

CASES = 200
"""Of each endpoint, good ones and bad ones each."""


@pytest.mark.slow
@pytest.mark.parametrize("mode", schemathesis.GenerationMode)
@pytest.mark.parametrize("path", [path for path, (asked, *_) in PATHS.items() if asked])
def test_nothing_sent_is_answered_by_a_fault_of_ours(running, path, mode):
    schema = schemathesis.openapi.from_asgi("/openapi.json", app_of(running.service))
    operation = schema[path]["POST"]

    @settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        answer = case.call()
        assert answer.status_code < 500
        assert answer.headers["content-type"] == ["application/json"]

    ask()
