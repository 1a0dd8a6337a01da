"""The access log: lines of JSON that say nothing of who asked."""

import json
import logging

import pytest
from app import app_of
from starlette.testclient import TestClient

FIELDS = {"at", "path", "status", "milliseconds", "release", "served_by", "bytes"}


@pytest.fixture
def lines(caplog):
    """What has been logged so far."""
    caplog.set_level(logging.INFO, "recommender.access")
    return lambda: [json.loads(each.message) for each in caplog.records if each.name == "recommender.access"]


def client(running, share: float) -> TestClient:
    running.service.settings.access_share = share
    return TestClient(app_of(running.service))


def test_an_answer_is_a_line_made_or_kept(running, lives, lines):
    asking = client(running, 1)
    answers = [asking.post("/recommend", json={"user_id": "u3", "k": 5}) for _ in range(2)]
    for answer, line in zip(answers, lines(), strict=True):
        assert set(line) == FIELDS
        assert (line["path"], line["status"], line["bytes"]) == ("/recommend", 200, len(answer.content))
        assert (line["release"], line["served_by"]) == (lives[0].id, "full")
        assert "u3" not in json.dumps(line)


def test_faults_are_logged_whatever_the_share_and_without_a_trace(running, lines, caplog):
    asking = client(running, 0)
    asking.post("/recommend", json={"user_id": "u3"})
    asking.post("/recommend", json={"user_id": ""})
    asking.get("/" + "x" * 1000)
    assert [line["status"] for line in lines()] == [422, 404]
    assert len(lines()[1]["path"]) < 1000
    assert not any(record.exc_info for record in caplog.records)


def test_a_share_is_logged(running, lines):
    asking = client(running, 0.5)
    for _ in range(100):
        asking.get("/users")
    assert 20 < len(lines()) < 80
