"""Partial training on the tiny data set: what was live knows 70 % of it, today 90 %."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsys.business_rules import Rules
from recsys.catalogue import Catalogue, Renumbering
from recsys.data.prepare import prepare
from recsys.data.report import DataError
from recsys.evaluate import Judge
from recsys.evaluate.releases import SHOWN, answers
from recsys.features.attributes import Attributes
from recsys.partial import Partial
from recsys.recall.content import ContentRecall
from recsys.recall.fm import FmRecall
from recsys.recall.fresh import FreshRecall
from recsys.types import PAD

TINY = Path(__file__).parent / "data" / "tiny"
SPLIT = "global_time"
GO_ON = Partial(
    two_tower={"epochs": 1, "learning_rate": 0.001},
    mf={"iterations": 1},
    ranker={"epochs": 1, "learning_rate": 0.001},
    segment="gender",
    attribute="gender",
)
KEEP = Partial(two_tower={"epochs": 0}, mf={"iterations": 0}, ranker={"epochs": 0})


def of_tiny(folder, raw, test=0.1):
    return prepare(folder, raw, seed=0, splits={SPLIT: {"late": 0.1, "valid": 0.1, "test": test}})


@pytest.fixture(scope="module")
def live(trained, tmp_path_factory):
    return trained(of_tiny(TINY, tmp_path_factory.mktemp("raw"), test=0.3))


@pytest.fixture(scope="module")
def today(dataset):
    return dataset.fold(SPLIT, "test")


@pytest.fixture(scope="module")
def candidate(live, dataset, today):
    return GO_ON(live, dataset, today.past, Rules())


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """The data set with a user and an item more, whose ids come first: all others have other numbers."""
    folder = shutil.copytree(TINY, tmp_path_factory.mktemp("grown") / "tiny")
    for file in ("users.csv", "items.csv"):
        columns = (folder / file).read_text().splitlines()[0].count(",")
        with (folder / file).open("a") as lines:
            lines.write("a0" + "," * columns + "\n")
    return of_tiny(folder, tmp_path_factory.mktemp("raw"))


def test_it_knows_todays_past(candidate, today):
    np.testing.assert_array_equal(candidate.past.timestamp, today.past.timestamp)
    assert candidate.now == today.past.timestamp.max() + 1


def test_where_other_numbers_are_known_of_items_it_says_to_train_in_full(live, dataset, today):
    priced = replace(today.past, observed={"price": today.past.value})
    with pytest.raises(DataError, match="train in full"):
        GO_ON(live, dataset, priced, Rules())


def test_it_learned_from_what_is_new(candidate, live):
    for name, weights in live.channels["two_tower"].weights_.items():
        assert candidate.channels["two_tower"].weights_[name].shape == weights.shape
    moved = [
        not np.array_equal(now, live.ranker.weights_[name]) for name, now in candidate.ranker.weights_.items()
    ]
    assert any(moved)


def test_what_was_seen_since_does_not_return(candidate, dataset, today):
    requests = today.requests()
    shown = candidate.recommend(requests, 20).items
    seen = {user: set(today.past.item_idx[today.past.user_idx == user].tolist()) for user in today.users}
    assert not any(seen[user] & set(items.tolist()) for user, items in zip(today.users, shown, strict=True))


def test_the_same_data_gives_the_same_lists(candidate, live, dataset, today):
    again = GO_ON(live, dataset, today.past, Rules())
    expected, got = (each.recommend(today.requests(), 20) for each in (candidate, again))
    np.testing.assert_array_equal(expected.items, got.items)
    np.testing.assert_array_equal(expected.scores, got.scores)


def test_items_that_are_first_met_since_are_recalled(candidate, live, today):
    vectors = candidate.channels["two_tower"].item_vectors
    assert vectors[np.unique(today.past.item_idx)].any(axis=1).all()


def test_without_a_step_all_weights_are_those_of_before(live, dataset, today):
    kept = KEEP(live, dataset, today.past, Rules())
    for part in ("two_tower", "mf"):
        before, now = live.channels[part], kept.channels[part]
        arrays = before.weights_ if part == "two_tower" else {"items": before.item_factors_}
        for name, each in arrays.items():
            got = now.weights_[name] if part == "two_tower" else now.item_factors_
            np.testing.assert_array_equal(got, each)
    for name, each in live.ranker.weights_.items():
        np.testing.assert_array_equal(kept.ranker.weights_[name], each)
    assert kept.ranker.calibration_ == live.ranker.calibration_


def test_vectors_go_with_the_ids_when_numbers_change(live, grown, today):
    kept = KEEP(live, grown, grown.fold(SPLIT, "test").past, Rules())
    met = np.flatnonzero(live.channels["two_tower"].item_vectors.any(axis=1))
    there = kept.catalogue.items.encode(live.catalogue.items.decode(met))
    assert (there != met).all()
    before, now = (each.channels["two_tower"].item_vectors for each in (live, kept))
    np.testing.assert_allclose(now[there], before[met], atol=1e-6)
    factors, moved = (each.channels["mf"].item_factors_ for each in (live, kept))
    np.testing.assert_array_equal(moved[there], factors[met])


def test_a_recommender_shows_the_same_however_today_numbers_them(live, dataset, grown):
    lists = []
    for data in (dataset, grown):
        catalogue = Catalogue.of(data)
        items = answers(live, catalogue, Judge.of(data, SPLIT, "test"))
        lists.append(catalogue.items.decode(items.ravel()))
    np.testing.assert_array_equal(*lists)


def test_the_recommender_of_today_answers_as_it_does(candidate, dataset):
    judge = Judge.of(dataset, SPLIT, "test")
    expected = candidate.recommend(judge.fold.requests(judge.rows), SHOWN).items
    np.testing.assert_array_equal(answers(candidate, Catalogue.of(dataset), judge), expected)


def test_who_was_not_known_then_has_no_number(live, grown):
    between = Renumbering.between(live.catalogue, Catalogue.of(grown))
    assert between.users[0] == between.items[0] == PAD
    assert (between.items[1:] == np.arange(len(live.catalogue.items))).all()
    events = grown.interactions
    with_strangers = replace(events, user_idx=np.zeros_like(events.user_idx))
    assert len(between.backwards(with_strangers)) == 0


def test_nothing_new_is_told(live, dataset):
    with pytest.raises(DataError, match="nothing happened after"):
        GO_ON(live, dataset, live.past, Rules())


def test_channels_made_of_others_are_given_todays(live, dataset, today):
    content = ContentRecall(catalogue=live.catalogue, text_dim=4).fit(live.past)
    vectors = {
        "item_vectors": live.channels["two_tower"].item_vectors,
        "content_vectors": content.item_vectors,
    }
    more = {"content": content, "fresh": FreshRecall(days=30, **vectors).fit(live.past)}
    renumbering = Renumbering.between(live.catalogue, Catalogue.of(dataset))
    before = replace(live, channels={**live.channels, **more})
    channels = GO_ON._channels(before, dataset, today.past, renumbering)
    assert channels["fresh"].content_vectors is channels["content"].item_vectors
    assert channels["fresh"].item_vectors is channels["two_tower"].item_vectors
    assert channels["content"].text_dim == 4


def test_channels_whose_parts_are_not_there_say_to_train_in_full(live, dataset, today):
    without = {name: each for name, each in live.channels.items() if name != "two_tower"}
    lacking = replace(live, channels={**without, "cluster": live.channels["popular"]})
    with pytest.raises(DataError, match="cluster, which is made of two_tower, and not those: train in full"):
        GO_ON(lacking, dataset, today.past, Rules())


def test_channels_that_know_attributes_are_given_them(live, dataset, today):
    fm = FmRecall(attributes=Attributes.of(dataset), embedding_dim=4, epochs=1).fit(live.past)
    before = replace(live, channels={**live.channels, "fm": replace(fm, attributes=None)})
    renumbering = Renumbering.between(live.catalogue, Catalogue.of(dataset))
    assert GO_ON._channels(before, dataset, today.past, renumbering)["fm"].attributes is not None


def test_the_ranker_goes_on_from_what_was_shown_too(live, dataset):
    some = replace(dataset, positive=np.arange(len(dataset.events)) % 2 == 0)
    past = some.fold(SPLIT, "test").past
    of_all, of_shown = (
        replace(GO_ON, negatives=each)(live, some, past, Rules()).ranker
        for each in ("candidates", "impressions")
    )
    assert of_all.log_[0]["loss"] != of_shown.log_[0]["loss"]
    with pytest.raises(ValueError, match="the data set has none"):
        replace(GO_ON, negatives="impressions")(live, dataset, past, Rules())
