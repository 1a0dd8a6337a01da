"""Estimators of what another policy would have earned, against a world that knows."""

import numpy as np
import pytest

from recsys.evaluate.counterfactual import doubly_robust, ips, snips
from recsys.synthetic import World

WORLD = World.of(150, 60, n_topics=6, days=30, seed=3)


def there(shown):
    """What a policy may show that keeps to what one cares for most, (n, n_items)."""
    best = WORLD.tastes[np.arange(150), WORLD.shares.argmax(axis=1)][shown.users]
    return (WORLD.born <= shown.timestamps[:, None]) & (WORLD.topics == best[:, None])


def chances(shown, policy):
    """Of a click on every article in the place that was taken, (n, n_items)."""
    users, items = np.indices(policy.shape)
    return shown.looked[:, None] * WORLD.liking(shown.users[users.ravel()], items.ravel()).reshape(
        policy.shape
    )


@pytest.fixture(scope="module")
def asked():
    """Of each log: it, the policy's chances of what was shown, and the truth of each event."""
    logs = []
    for shown in (next(WORLD.events(30_000, seed=seed)) for seed in range(20)):
        policy = there(shown)
        policy = policy / policy.sum(axis=1, keepdims=True)
        clicks = chances(shown, policy)
        logs.append(
            (shown, policy[np.arange(len(shown)), shown.items], clicks, (policy * clicks).sum(axis=1))
        )
    return logs


def missed(estimates, truths):
    """By how many standard errors of their mean the estimates are off on average."""
    off = np.array([estimate.value - truth for estimate, truth in zip(estimates, truths, strict=True)])
    return off.mean() / (off.std(ddof=1) / np.sqrt(len(off)))


def test_the_world_says_how_far_each_is_off(asked):
    truths = [truth.mean() for *_, truth in asked]
    rewards = [shown.clicked.astype(float) for shown, *_ in asked]
    naive = [reward[target > 0].mean() for reward, (_, target, *_) in zip(rewards, asked, strict=True)]
    told = [
        (reward, shown.propensity, target) for reward, (shown, target, *_) in zip(rewards, asked, strict=True)
    ]
    ours = {"ips": [ips(*each) for each in told], "snips": [snips(*each) for each in told]}
    for estimates in ours.values():
        assert abs(missed(estimates, truths)) < 3.5
        inside = [
            low <= truth <= high
            for (low, high), truth in zip((each.interval for each in estimates), truths, strict=True)
        ]
        assert np.mean(inside) >= 0.75
    # What was popular is shown oftener there too: who only counts is wrong.
    assert abs(np.mean(naive) - np.mean(truths)) > 3 * abs(
        np.mean([each.value for each in ours["ips"]]) - np.mean(truths)
    )


@pytest.mark.parametrize(("slant", "shift"), [(1.0, 0.0), (0.6, 0.05)])
def test_doubly_robust_stands_a_model_that_is_wrong_and_gains_by_one_that_is_right(asked, slant, shift):
    estimates, plain, truths = [], [], []
    for shown, target, clicks, truth in asked:
        reward, policy = shown.clicked.astype(float), there(shown)
        policy = policy / policy.sum(axis=1, keepdims=True)
        model = slant * clicks + shift
        expected, promised = model[np.arange(len(shown)), shown.items], (policy * model).sum(axis=1)
        estimates.append(doubly_robust(reward, shown.propensity, target, expected, promised))
        plain.append(ips(reward, shown.propensity, target))
        truths.append(truth.mean())
    assert abs(missed(estimates, truths)) < 3.5
    if slant == 1:
        assert np.mean([each.error for each in estimates]) < np.mean([each.error for each in plain])


def test_the_logging_policy_itself_earned_what_it_earned():
    shown = next(WORLD.events(1000))
    reward = shown.clicked.astype(float)
    same = ips(reward, shown.propensity, shown.propensity)
    assert same.value == pytest.approx(reward.mean())
    assert same.effective == pytest.approx(len(shown))
    assert snips(reward, shown.propensity, shown.propensity).value == pytest.approx(same.value)


def test_a_cut_bounds_every_weight():
    reward, propensity, target = np.ones(4), np.array([0.001, 0.5, 0.5, 0.5]), np.full(4, 0.5)
    assert ips(reward, propensity, target).value == pytest.approx((500 + 3) / 4)
    assert ips(reward, propensity, target, most=10).value == pytest.approx((10 + 3) / 4)


@pytest.mark.parametrize(
    ("propensity", "target", "told"),
    [(0.0, 0.5, "a propensity is above 0"), (1.5, 0.5, "a propensity"), (0.5, -0.1, "a target is a chance")],
)
def test_what_is_no_chance_is_refused(propensity, target, told):
    with pytest.raises(ValueError, match=told):
        ips(np.ones(1), np.array([propensity]), np.array([target]))


def test_what_cannot_be_known_is_told():
    with pytest.raises(ValueError, match="none of what was logged would have been chosen"):
        snips(np.ones(3), np.full(3, 0.5), np.zeros(3))
    with pytest.raises(ValueError, match="nothing was logged"):
        ips(np.ones(0), np.ones(0), np.ones(0))
