import os

import numpy as np
import pandas as pd
import pytest
from growth import memory, summary
from parity import compared, passed
from run import FLOORS, OURS, SHARES
from run import summary as serving_summary
from traffic import Traffic

from recsys.release import RECOMMENDER

LISTS = {"a": (["x", "y"], np.array([0.5, 0.25])), "b": ([], np.empty(0))}
SAME = {"users": 2, "identical_lists": 2, "largest_score_difference": 0.0}


def test_equal_lists_are_identical():
    assert compared(LISTS, LISTS) == SAME


def test_another_order_is_another_list():
    assert compared(LISTS, LISTS | {"a": (["y", "x"], LISTS["a"][1])})["identical_lists"] == 1


def test_scores_are_compared_where_items_are_the_same():
    near = {"a": (["x", "y"], np.array([0.5, 0.26])), "b": ([], np.empty(0))}
    assert compared(LISTS, near)["largest_score_difference"] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("differing", "good"),
    [
        ({}, True),
        ({"identical_lists": 1}, False),
        ({"largest_score_difference": 1e-5}, False),
        ({"replayed": 1, "replayed_identical": 1}, False),
        ({"replayed_identical": 1}, False),
    ],
)
def test_all_must_be_the_same(differing, good):
    assert passed({**SAME, "replayed": 2, "replayed_identical": 2, **differing}) is good


def test_growth_is_that_of_the_second_half():
    requests = np.arange(0, 200_001, 10_000)
    samples = pd.DataFrame({"requests": requests, "rss_mb": 300 + np.maximum(requests - 1e5, 0) / 1e4})
    told = summary(samples, "rss_mb")
    assert told.pop("mb_per_100000_requests") == pytest.approx(10)
    assert told == {"after_start": 300, "after_10000": 300, "at_end": 310}


def test_the_memory_of_a_process_is_read():
    told = memory(os.getpid())
    assert told["rss_mb"] >= told["pss_mb"] >= told["uss_mb"] > 1


def test_ours_are_compared_with_each_floor():
    peaks = [
        {"server": name, "requests_per_second": 100.0 + rank, "p50_ms": float(rank), "failed": 1}
        for rank, name in enumerate((*FLOORS, *OURS))
        for _ in range(2)
    ]
    loads = [
        {"server": name, "share_of_peak": share, "p50_ms": 1.0, "p99_ms": 10 * share, "failed": 1}
        for name in (*FLOORS, *OURS)
        for share in SHARES
    ]
    report = serving_summary(pd.DataFrame(peaks), pd.DataFrame(loads))
    assert report["ratio"]["to_mounted"]["cached"] == 103 / 101
    assert report["added_ms"]["to_trivial"]["embedded"] == 4
    assert report["servers"]["redis"]["half_load_p99_ms"] == 5
    assert report["servers"]["redis"]["failed"] == 2 + len(SHARES)


def test_mixed_traffic_is_mostly_for_recommendations(recommender, tmp_path):
    recommender.save(tmp_path / RECOMMENDER)
    paths = [request.split()[1].decode() for request in Traffic(tmp_path).mixed(10_000)]
    shares = {path: paths.count(path) / 10_000 for path in dict.fromkeys(paths)}
    assert shares == pytest.approx({"/recommend": 0.9, "/similar_items": 0.05, "/events": 0.05}, abs=0.01)
