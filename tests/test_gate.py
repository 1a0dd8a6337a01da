import numpy as np
import pytest

from recsys.artifacts import write_arrays
from recsys.gate import PER_USER, Gate, Measured, compare
from recsys.release import build

GATE = Gate({"ndcg_at_10": 0.02})


def release(tmp_path, name, ndcg, data_hash="d1", users=None):
    """A release whose only part says each user's ndcg."""
    values = np.full(200, ndcg) if users is None else users
    path = tmp_path / name / PER_USER
    write_arrays(path, {"user_idx": np.arange(len(values)), "ndcg_at_10": values})
    built = build(
        {PER_USER: path},
        tmp_path / "releases",
        params={"name": name},
        metrics={"ndcg_at_10": ndcg},
        data_hash=data_hash,
        fingerprint="f",
        newest_event=0,
        revision="r",
    )
    return Measured.of(built)


def verdict(tmp_path, live, candidate, **options):
    return compare(release(tmp_path, "new", candidate, **options), release(tmp_path, "old", live), GATE)


@pytest.mark.parametrize(
    ("candidate", "passed"), [(0.110, True), (0.100, True), (0.0985, True), (0.0975, False)]
)
def test_a_loss_beyond_the_tolerance_is_refused(tmp_path, candidate, passed):
    assert verdict(tmp_path, 0.1, candidate).passed is passed


def test_the_refusal_says_why(tmp_path):
    (reason,) = verdict(tmp_path, 0.1, 0.09).reasons
    assert reason.startswith("ndcg_at_10 0.1000 -> 0.0900, more than 2.0% lower")


def test_other_data_is_no_comparison(tmp_path):
    found = verdict(tmp_path, 0.1, 0.2, data_hash="d2")
    assert not found.passed
    assert "other data" in found.reasons[0]


def test_a_metric_that_one_lacks_is_refused(tmp_path):
    both = release(tmp_path, "new", 0.1), release(tmp_path, "old", 0.1)
    found = compare(*both, Gate({"auc": 0.01}))
    assert not found.passed
    assert found.reasons == (f"auc is missing in {both[1].id} and {both[0].id}",)


def test_the_first_release_passes(tmp_path):
    assert compare(release(tmp_path, "new", 0.1), None, GATE).passed


def test_the_interval_is_of_the_paired_difference(tmp_path):
    noise = np.random.default_rng(0).normal(size=200)
    live = release(tmp_path, "old", 0.1, users=0.1 + noise)
    candidate = release(tmp_path, "new", 0.11, users=0.11 + noise)
    (row,) = compare(candidate, live, GATE).rows
    # The users' noise is in both and cancels; unpaired, the interval would be 0.2 wide.
    assert row.interval == pytest.approx((0.01, 0.01))
    assert row.difference == pytest.approx(0.01)


def test_users_that_differ_are_not_paired(tmp_path):
    (row,) = verdict(tmp_path, 0.1, 0.1, users=np.full(150, 0.1)).rows
    assert row.interval is None
