import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit

from recsys.rank.calibration import Platt, levels

NO_LEVEL = np.zeros(1, dtype=np.float32)


def drawn(slope, level, intercept, n=50_000):
    rng = np.random.default_rng(0)
    its = rng.normal(0, 1, n).astype(np.float32)
    logits = its + rng.normal(-2, 1, n).astype(np.float32)
    odds = slope * logits - level * its + intercept
    return logits, its, (rng.random(n) < expit(odds)).astype(np.float32)


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_what_made_the_labels_is_found(level):
    found = Platt.fit(*drawn(0.5, level, -1))
    assert (found.slope, found.level, found.intercept) == pytest.approx((0.5, level, -1), abs=0.1)


def test_a_level_is_never_added():
    assert Platt.fit(*drawn(0.5, -0.5, -1)).level == 0


def test_the_mean_probability_is_the_share_of_positives():
    logits, its, labels = drawn(0.5, 0.2, -1)
    predicted = Platt.fit(logits, its, labels)(logits[:, None], its)
    assert predicted.mean() == pytest.approx(labels.mean(), rel=0.01)


@given(
    arrays(np.float32, 20, elements=st.floats(-8, 8, width=32)),
    arrays(np.float32, 20, elements=st.floats(-8, 8, width=32)),
    arrays(np.float32, 20, elements=st.floats(0, 1, width=32)),
)
def test_the_order_within_a_request_stays(logits, its, labels):
    (probabilities,) = Platt.fit(logits, its, labels)(np.sort(logits)[None], its[:1])
    assert (np.diff(probabilities) >= 0).all()


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_gives_a_probability_between_0_and_1(label):
    logits = np.linspace(-3, 3, 50, dtype=np.float32)
    found = Platt.fit(logits, np.zeros_like(logits), np.full(50, label, dtype=np.float32))
    probabilities = found(logits[None], NO_LEVEL)
    assert ((probabilities > 0) & (probabilities < 1)).all()


def test_without_examples_logits_stay_as_they_are():
    none = np.zeros(0, dtype=np.float32)
    assert Platt.fit(none, none, none) == Platt(1, 0, 0)


def test_the_level_of_a_request_is_that_of_its_candidates_alone():
    logits = np.array([[1, 1, 50], [np.log(2), np.log(4), np.log(9)], [7, 7, 7]], dtype=np.float32)
    inside = np.array([[True, True, False], [True, True, True], [False, False, False]])
    assert levels(logits, inside) == pytest.approx([1, np.log(5), 0])


def test_levels_of_high_logits_stay_finite():
    assert levels(np.full((1, 4), 500, dtype=np.float32), np.ones((1, 4), dtype=bool)) == pytest.approx([500])
