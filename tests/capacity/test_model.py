from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy import stats

from recsys.capacity import CapacityError, Queue, Scaling, fit

positive = st.floats(0.02, 0.5)
scalings = st.builds(Scaling, st.floats(50, 2000), positive, positive, st.floats(0, 1e-3))
queues = st.builds(Queue, st.floats(100, 2000), positive, positive, st.floats(0.1, 1))


def test_one_at_a_time_is_the_rate_however_many_replicas():
    assert Scaling(350, 0.3, 0.1, 0.01).throughput(1, np.array([1, 2, 9])).tolist() == [350] * 3


def test_without_coherency_throughput_tends_to_what_contention_leaves():
    assert Scaling(100, 0.3, 0.2).throughput(1e9, 2) == pytest.approx(100 / (0.3 / 2 + 0.2))


def test_a_queue_of_one_speed_is_that_of_textbooks():
    """One server that nothing speeds up, exponential service (M/M/1): waits are exponential too."""
    queue = Queue(100, contention=1, shared=0, spread=1)
    exact = stats.expon(scale=1 / (100 - 60))
    # Its n + 1 services are one gamma of the same average, and of a spread that is too wide.
    assert queue.waiting(0.5, 60) == pytest.approx(exact.ppf(0.5), rel=0.35)
    average = np.mean([queue.waiting(quantile, 60) for quantile in np.linspace(0.0005, 0.9995, 1000)])
    assert average == pytest.approx(exact.mean(), rel=0.02)


def test_alone_waiting_is_one_service():
    queue = Queue(200, 0.3, 0.1, spread=0.5)
    assert queue.waiting(0.99, 1e-6) == pytest.approx(stats.gamma(4, scale=1 / 800).ppf(0.99), rel=1e-3)


@given(queues, st.floats(0.05, 0.8), st.floats(1.05, 1.2))
@settings(max_examples=30)
def test_more_requests_wait_longer(queue, share, more):
    load = share * float(queue.speed(512))
    assert queue.waiting(0.99, load * more) > queue.waiting(0.99, load) > queue.waiting(0.5, load)


@given(queues, st.floats(0.05, 0.5))
@settings(max_examples=30)
def test_an_uneven_share_waits_longer_and_an_even_one_is_the_default(queue, share):
    load = share * float(queue.speed(512))
    even = queue.waiting(0.99, load, 2)
    assert queue.waiting(0.99, load, 2, 0.5) == pytest.approx(even)
    assert queue.waiting(0.99, load, 2, 0.7) > even


@given(queues, st.floats(1.2, 20))
@settings(max_examples=30)
def test_the_largest_load_waits_as_long_as_allowed(queue, times):
    allowed = queue.waiting(0.99, 1e-3) * times
    load = queue.largest_load(0.99, allowed)
    most = float(queue.speed(512))
    assert load == pytest.approx(most) or queue.waiting(0.99, load) == pytest.approx(allowed, rel=1e-3)


def test_what_one_request_alone_takes_cannot_be_undercut():
    with pytest.raises(CapacityError, match=r"p99 of 2 ms cannot be kept.* alone takes"):
        Queue(200, 0.3, 0.1, spread=0.5).largest_load(0.99, 0.002)


@given(scalings, queues)
@settings(max_examples=10, phases=[Phase.explicit, Phase.generate])  # a fit takes too long to shrink
def test_a_fit_finds_what_points_were_made_of(measured_points, scaling, queue):
    fitted = fit(measured_points(scaling, queue))
    assert fitted.error("requests_per_second") < 0.01
    assert fitted.error("p50_ms") < 0.05
    assert fitted.error("p99_ms") < 0.05


def test_numbers_are_as_far_off_as_their_errors_say(measured_points, truth):
    scaling, queue = truth
    true = np.array([*astuple(scaling)[:3], *astuple(queue)])
    off = []
    for seed in range(5):
        random = np.random.default_rng(seed)
        fitted = fit(measured_points(noise=lambda random=random: random.lognormal(0, 0.03)))
        found = [*astuple(fitted.scaling)[:3], *astuple(fitted.queue)]
        off.append((found - true) / [*fitted.scaling_errors[:3], *fitted.queue_errors])
    assert 0.5 < np.sqrt(np.mean(np.square(off))) < 2.5


def test_points_held_back_change_no_fit(points):
    other = [
        point | {"requests_per_second": 9.0, "p50_ms": 1.0} if point["held_back"] else point
        for point in points
    ]
    assert fit(other).scaling == fit(points).scaling
    assert fit(other).queue == fit(points).queue


def test_each_point_held_back_is_judged(points):
    hidden = [(point["kind"], point["replicas"]) for point in points if point["held_back"]]
    held_back = fit(points).held_back
    measures = {"closed": ["requests_per_second"], "open": ["p50_ms", "p99_ms"]}
    judged = [(row["kind"], row["replicas"], row["measure"]) for row in held_back]
    assert judged == [(*point, measure) for point in hidden for measure in measures[point[0]]]


def test_an_error_is_a_share_of_what_was_measured(points):
    slower = [
        point | {"requests_per_second": point["requests_per_second"] / 2}
        if point.get("connections") == 24
        else point
        for point in points
    ]
    assert fit(slower).error("requests_per_second") == pytest.approx(1, abs=0.01)


def test_few_points_are_refused(points):
    with pytest.raises(CapacityError, match="too few points"):
        fit(points[:5])
