import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit

from recsys.rank.calibration import Platt


def drawn(slope, intercept, n=50_000):
    rng = np.random.default_rng(0)
    logits = rng.normal(-2, 1, n).astype(np.float32)
    return logits, (rng.random(n) < expit(slope * logits + intercept)).astype(np.float32)


def test_slope_and_intercept_that_made_the_labels_are_found():
    found = Platt.fit(*drawn(0.5, -1))
    assert (found.slope, found.intercept) == pytest.approx((0.5, -1), abs=0.1)


def test_the_mean_probability_is_the_share_of_positives():
    logits, labels = drawn(0.5, -1)
    assert Platt.fit(logits, labels)(logits).mean() == pytest.approx(labels.mean(), rel=0.01)


@given(
    arrays(np.float32, 20, elements=st.floats(-8, 8, width=32)),
    arrays(np.float32, 20, elements=st.floats(0, 1, width=32)),
)
def test_the_order_stays(logits, labels):
    probabilities = Platt.fit(logits, labels)(np.sort(logits))
    assert (np.diff(probabilities) >= 0).all()


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_gives_a_probability_between_0_and_1(label):
    logits = np.linspace(-3, 3, 50, dtype=np.float32)
    probabilities = Platt.fit(logits, np.full(50, label, dtype=np.float32))(logits)
    assert ((probabilities > 0) & (probabilities < 1)).all()


def test_without_examples_logits_stay_as_they_are():
    none = np.zeros(0, dtype=np.float32)
    assert Platt.fit(none, none) == Platt(1, 0)
