import os
import time

import curve as curves
import numpy as np
import pandas as pd
import pytest
from balance import balanced, expected
from curve import answers, counted, cpu_seconds, curve, resident, running
from figure import load_curves
from sizes import bytes_of_an_id, counts, in_redis, redis_slopes, table_slopes, tables, unit_of
from traffic import Traffic, recommend

from recsys.capacity import Queue, Scaling, fit
from recsys.release import RECOMMENDER

METRICS = """
# TYPE recsys_answers_total counter
recsys_answers_total{served_by="full"} 7.0
recsys_answers_total{served_by="partial"} 2.0
# TYPE recsys_cached_answers_total counter
recsys_cached_answers_total 5.0
"""
LENGTHS = {"user": 40, "item": 25, "interaction": 900}


@pytest.fixture(scope="module")
def release(built, recommender, tmp_path_factory):
    return built(recommender, tmp_path_factory.mktemp("releases")).folder


def test_answers_are_counted_by_step_and_those_of_the_cache():
    assert counted(METRICS).to_dict() == {"full": 7, "partial": 2, "cached": 5}


def test_processor_time_is_that_which_passes_while_working():
    before, end = cpu_seconds(os.getpid()), time.process_time() + 0.2
    while time.process_time() < end:
        pass
    assert cpu_seconds(os.getpid()) - before == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize(
    ("name", "shape", "unit"),
    [
        ("factors.users", (40, 8), "user"),
        ("inputs.rows", (26, 3), "item"),
        ("past.value", (900,), "interaction"),
        ("item_similar.items", (333,), "item"),
        ("clusters.centroids", (4, 8), "none"),
        ("past.n_users", (), "none"),
    ],
)
def test_an_array_belongs_to_what_it_is_as_long_as(name, shape, unit):
    assert unit_of(name, np.zeros(shape), LENGTHS) == unit


def test_all_of_a_release_that_is_mapped_is_weighed(release):
    weighed = tables(release, counts(release))
    files = sum(path.stat().st_size for path in (release / RECOMMENDER).rglob("*.npz"))
    assert weighed.loc[weighed["table"] != "weights", "bytes"].sum() == pytest.approx(files, rel=0.3)
    past = Traffic(release).past
    assert counts(release) == {"user": past.n_users, "item": past.n_items, "interaction": len(past)}
    slopes = table_slopes(weighed)
    assert sum(slopes[unit] * n for unit, n in {**counts(release), "none": 1}.items()) == pytest.approx(
        weighed["bytes"].sum()
    )


def test_redis_grows_by_users_events_and_lists(program, release):
    program("redis-server")
    slopes = redis_slopes(in_redis(release, (500, 1000, 2000)))
    assert slopes["list"] > 2 * 4 * 20  # the items of a list, and their scores
    assert 20 < slopes["event"] < 200
    assert slopes["error"] < 0.4  # some hundred kilobytes are nobody's


def test_slopes_are_fitted_without_the_most_users():
    stored = pd.DataFrame(
        {
            "users": n,
            "events": events,
            "bytes": n * (800 if events == 0 else 100 + 40 * events) * (1 + (n == 40) / 10),
        }
        for n in (10, 20, 40)
        for events in (0, 10, 50)
    )
    assert redis_slopes(stored) == pytest.approx(
        {"user": 100, "event": 40, "list": 800, "error": 1 - 1 / 1.1}
    )


def test_more_caches_have_less_and_none_all(release):
    shares = [expected(Traffic(release), rate=5, seconds=300, caches=caches) for caches in (1, 2, 8)]
    assert 1 > shares[0] > shares[1] > shares[2] > 0
    assert expected(Traffic(release), rate=5, seconds=300, caches=1, kept=0.001) < 0.1


def test_an_id_takes_more_than_its_letters():
    assert 50 < bytes_of_an_id() < 500


def test_the_figure_has_filled_points_for_the_fit_and_hollow_ones_beside():
    scaling, queue = Scaling(300, 0.3, 0.1), Queue(200, 0.2, 0.1, 0.4)
    points = [
        {
            "kind": "closed",
            "replicas": r,
            "connections": n,
            "requests_per_second": float(scaling.throughput(n, r)),
        }
        for r in (1, 2)
        for n in (1, 2, 6, 8)
    ] + [
        {"kind": "open", "replicas": r, "connections": 0, "requests_per_second": load, "busiest": 1 / r}
        | {name: queue.waiting(q, load, r) * 1000 for name, q in (("p50_ms", 0.5), ("p99_ms", 0.99))}
        for r in (1, 2)
        for load in (100, 200, 300)
    ]
    points = [point | {"held_back": point["connections"] == 6} for point in points]
    closed, _ = load_curves(pd.DataFrame(points), fit(points)).axes
    hollow = [
        line for line in closed.lines if line.get_markerfacecolor() == "white" and len(line.get_xdata())
    ]
    assert [line.get_xdata().tolist() for line in hollow] == [[6], [6]]


@pytest.mark.slow
@pytest.mark.xdist_group("stack")
def test_a_small_run_measures_what_the_model_reads(program, release, monkeypatch):
    """The whole topology, a fifth of a second a point."""
    for name in ("haproxy", "redis-server"):
        program(name)
    monkeypatch.setattr(curves, "SETTLES", 0.5)
    monkeypatch.setattr(curves, "WARM", 0.2)
    traffic = Traffic(release)
    asks = [recommend(user) for user in traffic.users(50)]
    with running(release) as stack:
        points = curve(stack, asks, 0.2, rounds=1)
        own = resident(stack)
        cached = balanced(stack, traffic, rate=50, seconds=1, fill=1)
        made = answers(stack)
    assert {(each["kind"], each["replicas"]) for each in points if each["held_back"]} == {
        (kind, replicas) for kind in ("closed", "open") for replicas in (1, 2)
    }
    assert all(each["failed"] == 0 and each["replicas_cpu_ms"] > 0 and each["p99_ms"] > 0 for each in points)
    assert own["rss_mb"] > own["uss_mb"] > 50
    assert 0 < cached["hit_rate"] < 1
    assert 0.5 <= cached["busiest"] < 0.9
    assert made.loc["full"].sum() > 0
    assert fit(points).held_back
