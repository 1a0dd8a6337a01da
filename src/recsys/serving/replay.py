"""Requests that were answered, as lines of a log; and the same asked again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import orjson

from recsys.serving.live import STEPS, Answer, Ask, Live
from recsys.store import decode

STAGES = ("recall", "rank", "rerank")
"""In their order."""


class ReplayError(Exception):
    """A line is no record of a request; the message says what is wrong."""


def record(at: float, release: str, ask: Ask, stored: bytes, answer: Answer) -> bytes:
    """One line, with its end: all that answering again takes, and what was answered.

    ``stored`` are the user's events as the store had them; ``answer`` must be traced.
    """
    content = {
        "at": at,
        "release": release,
        "ask": asdict(ask),
        "events": stored.decode(),
        "step": answer.step,
        "left_out": answer.left_out,
        "served_by": answer.served_by,
        "items": [[item["item_id"], item["score"]] for item in answer.items],
        "trace": answer.trace,
        "milliseconds": {stage: round(seconds * 1000, 3) for stage, seconds in answer.spent.items()},
    }
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)


def replay(line: bytes, release: Callable[[str], Live]) -> str | None:
    """Answer a recorded request again: the first stage that differs, None where all is the same.

    ``release`` gives the release of an id. The step of the fallback chain, and the channels that there was no
    time for, are those recorded.
    """
    try:
        told = orjson.loads(line)
        asked = {"context": (), **told["ask"]}
        context = tuple(map(tuple, asked["context"]))
        ask = Ask(**{**asked, "exclude": tuple(asked["exclude"]), "context": context})
        steps, events = [STEPS[STEPS.index(told["step"])]], decode(told["events"].encode())
        id_, trace, items = told["release"], told["trace"], told["items"]
        left_out = tuple(told.get("left_out", ()))
    except (ValueError, KeyError, TypeError) as error:
        raise ReplayError(f"is no record of a request ({error!r})") from error
    answer = release(id_).recommend(ask, events, steps=steps, traced=True, unwanted=left_out)
    for stage in STAGES:
        if answer.trace[stage] != trace.get(stage):
            return stage
    return None if [[item["item_id"], item["score"]] for item in answer.items] == items else "entries"
