from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.business_rules import Rules
from recsys.data.prepare import prepare
from recsys.pipeline import FALLBACK, FULL, Recommender, Reranking, frame
from recsys.reasons import OF_CHANNEL, reasons
from recsys.recall import CHANNELS
from recsys.recall.swing import SwingRecall
from recsys.types import DAY, PAD, Interactions


def same(one, other):
    """Whether two `Recommendations` agree in all they say, to the last bit."""
    return (
        np.array_equal(one.items, other.items)
        and np.array_equal(one.scores, other.scores)
        and np.array_equal(one.ranked, other.ranked)
        and np.array_equal(one.moves, other.moves)
        and np.array_equal(one.served_by, other.served_by)
        and np.array_equal(one.merged.ranks, other.merged.ranks)
        and all(np.array_equal(each, other.probabilities[task]) for task, each in one.probabilities.items())
    )


def lists(recommender, users, k=10, now=None):
    return recommender.recommend(recommender.requests(np.asarray(users), now), k)


def row_of(recommender, user_id):
    return recommender.catalogue.users.encode([user_id])[0]


everyone = np.append(np.arange(60), PAD)
some_users = st.lists(st.integers(PAD, 59), max_size=6)
a_moment = st.one_of(st.none(), st.integers(1_600_000_000, 1_700_000_000))


@settings(max_examples=30)
@given(users=some_users, k=st.integers(1, 90), now=a_moment)
def test_nothing_seen_is_returned_and_nothing_twice(recommender, users, k, now):
    shown = lists(recommender, users, k, now)
    assert shown.items.shape == (len(users), k)
    for user, items in zip(users, shown.items, strict=True):
        items = items[items != PAD]
        assert len(set(items)) == len(items)
        if user != PAD:
            assert not set(items) & set(recommender.past.item_idx[recommender.past.user_idx == user])


@settings(max_examples=15)
@given(users=some_users, k=st.integers(1, 50), data=st.data())
def test_a_batch_equals_one_by_one(recommender, users, k, data):
    moments = st.integers(1_600_000_000, 1_700_000_000)
    now = np.array(data.draw(st.lists(moments, min_size=len(users), max_size=len(users))), dtype=np.int64)
    batch = lists(recommender, users, k, now)
    for row, user in enumerate(users):
        one = lists(recommender, [user], k, now[row])
        assert np.array_equal(one.items[0], batch.items[row])
        assert np.array_equal(one.scores[0], batch.scores[row])
        own, among = one.listed(one.probabilities["watched"]), batch.listed(batch.probabilities["watched"])
        assert np.array_equal(own[0], among[row])


def test_a_large_batch_equals_one_by_one(recommender):
    batch = lists(recommender, everyone)
    for row, user in list(enumerate(everyone))[::5]:
        assert np.array_equal(lists(recommender, [user]).scores[0], batch.scores[row])


def test_padding_ends_a_list_and_scores_minus_infinity(recommender):
    shown = lists(recommender, everyone, k=60)
    missing = shown.items == PAD
    assert missing.any()
    assert (np.diff(missing.astype(int), axis=1) >= 0).all()
    assert np.array_equal(missing, np.isneginf(shown.scores))
    assert (shown.ranked[missing] == PAD).all()


def test_k_above_the_catalogue_gives_all_that_any_channel_finds(recommender):
    shown = lists(recommender, everyone, k=200)
    requests = recommender.requests(everyone)
    for row, items in enumerate(shown.items):
        found = {
            item
            for each in recommender.channels.values()
            for item in each.recall(requests[[row]], 200).items[0]
        }
        assert set(items.tolist()) | {PAD} == found | {PAD}


def test_a_deeper_list_than_merging_keeps_is_as_long_as_asked(recommender):
    deeper = recommender.merging.k + 5
    assert (lists(recommender, everyone, k=deeper).items != PAD).sum(axis=1).max() == deeper


def test_save_and_load_change_nothing(recommender, tmp_path):
    recommender.save(tmp_path)
    loaded = Recommender.load(tmp_path)
    assert same(lists(loaded, everyone), lists(recommender, everyone))
    assert np.array_equal(
        loaded.similar(np.arange(80), 5).scores, recommender.similar(np.arange(80), 5).scores
    )


def test_a_saved_recommender_has_the_same_bytes_again(recommender, tmp_path):
    recommender.save(tmp_path / "one")
    Recommender.load(tmp_path / "one").save(tmp_path / "other")
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert files
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes(), name


def test_rules_are_saved_too(recommender, tmp_path):
    ruled = replace(recommender, rules=Rules.model_validate({"block": {"items": ["i3"]}}))
    ruled.save(tmp_path)
    row = recommender.catalogue.items.encode(["i3"])[0]
    assert row in lists(recommender, everyone, k=40).items
    assert row not in lists(Recommender.load(tmp_path), everyone, k=40).items


def test_an_unknown_user_is_served_what_is_popular_in_that_order(recommender):
    plain = replace(recommender, reranking=Reranking())
    shown = lists(plain, [PAD])
    popular = recommender.channels[FALLBACK].recall(plain.requests(np.array([PAD])), 10)
    assert shown.served_by.tolist() == [FALLBACK]
    assert np.array_equal(shown.items, popular.items)


def test_a_user_of_one_interaction_is_served_in_full(recommender):
    user = row_of(recommender, "u0")
    assert (recommender.past.user_idx == user).sum() == 1
    assert lists(recommender, [user]).served_by.tolist() == [FULL]


def test_a_known_user_without_history_is_served_by_attributes(recommender):
    shown = lists(recommender, [row_of(recommender, "u59")])
    found = dict(zip(shown.merged.channels, (shown.merged.ranks[0] != PAD).any(axis=0), strict=True))
    assert shown.served_by.tolist() == [FULL]
    assert [name for name, any_ in found.items() if any_] == [FALLBACK, "two_tower"]


def test_who_has_no_past_is_not_ranked_but_keeps_the_order_of_the_merge(recommender):
    plain = replace(recommender, reranking=Reranking())
    newcomer, known = row_of(recommender, "u59"), row_of(recommender, "u3")
    shown = lists(plain, [newcomer, known])
    assert shown.found[0].tolist() == list(range(10))
    assert (np.diff(shown.scores[0]) < 0).all()
    assert shown.found[1].tolist() != list(range(10))


def test_what_the_channels_said_stays_with_an_item(recommender):
    shown = lists(recommender, [3])
    for number, name in enumerate(shown.merged.channels):
        found = recommender.channels[name].recall(shown.requests, 40).items[0].tolist()
        ranks = shown.listed(shown.merged.ranks)[0, :, number]
        assert ranks.tolist() == [found.index(item) if item in found else PAD for item in shown.items[0]]


def test_the_place_before_re_ranking_is_the_rankers(recommender):
    requests = recommender.requests(np.arange(10))
    ranked = recommender.rank(requests, recommender.recall(requests))
    shown = recommender.rerank(ranked, 10)
    for row in range(10):
        assert (np.diff(ranked.scores[row][ranked.items[row] != PAD]) <= 0).all()
        assert np.array_equal(ranked.items[row][shown.ranked[row]], shown.items[row])
    assert (shown.ranked != np.arange(10)).any()


def test_the_first_k_of_a_longer_list_without_re_ranking_are_the_list(recommender):
    plain = replace(recommender, reranking=Reranking())
    assert np.array_equal(lists(plain, everyone, 30).items[:, :10], lists(plain, everyone, 10).items)


def test_two_trainings_with_one_seed_give_the_same_lists(recommender, dataset, trained):
    assert same(lists(trained(dataset), everyone, k=40), lists(recommender, everyone, k=40))


def test_the_future_changes_nothing(recommender, dataset, trained):
    test = dataset.splits["global_time"].parts(dataset.events) == 3
    other = dataset.events.item_idx.copy()
    other[test] = (other[test] + 1) % len(dataset.items)
    labels = {task: np.where(test, 1 - label, label) for task, label in dataset.events.labels.items()}
    changed = replace(dataset, events=replace(dataset.events, item_idx=other, labels=labels))
    assert len(changed.fold("global_time", "test").past) == len(recommender.past)
    assert same(lists(trained(changed), everyone, k=40), lists(recommender, everyone, k=40))


def test_the_past_changes_something(recommender, dataset, trained):
    items = dataset.events.item_idx.copy()
    items[: len(items) // 2] = (items[: len(items) // 2] + 1) % len(dataset.items)
    changed = replace(dataset, events=replace(dataset.events, item_idx=items))
    assert not same(lists(trained(changed), everyone), lists(recommender, everyone))


def test_an_item_first_met_lately_or_never_is_fresh():
    met = np.array([0, 1, 2])
    past = Interactions(met * 0, met, np.array([0, 60, 100]) * DAY, np.ones(3), {}, n_users=1, n_items=4)
    assert past.fresh(days=50).tolist() == [False, True, True, True]


def test_a_frame_has_external_ids_and_a_row_an_item(recommender):
    shown = lists(recommender, [row_of(recommender, "u3"), PAD], k=200)
    rows = frame(recommender, shown)
    assert len(rows) == (shown.items != PAD).sum()
    first = rows.iloc[0]
    assert (first["user_id"], first["rank"]) == ("u3", 1)
    assert first["item_id"] == recommender.catalogue.items.decode(shown.items[0, :1])[0]
    assert rows["served_by"].unique().tolist() == [FULL, FALLBACK]


def test_every_item_shown_has_a_reason_and_padding_none(recommender):
    shown = lists(recommender, everyone, k=60)
    assert np.array_equal(reasons(recommender, shown) != "", shown.items != PAD)


def test_a_reason_names_an_item_of_the_users_own(recommender):
    shown = lists(recommender, [3], k=20)
    had = recommender.past.item_idx[recommender.past.user_idx == 3]
    sentences = [each for each in reasons(recommender, shown)[0] if each.startswith("because you had")]
    assert sentences
    assert all(any(recommender.catalogue.titles[item] in each for item in had) for each in sentences)


def test_every_channel_has_its_reason_in_words():
    assert set(CHANNELS) <= set(OF_CHANNEL)


def test_what_stands_for_a_category_was_not_had(recommender):
    shown = lists(recommender, [3], k=20)
    ids, had = recommender.catalogue.items.ids, recommender.past.item_idx[recommender.past.user_idx == 3]
    standing = {ids[item]: "Comedy" for item in (*had, shown.items[0, -1])}
    plain, told = (reasons(recommender, shown, each)[0] for each in ({}, standing))
    named = np.char.startswith(plain.astype(str), "because you had")
    assert named.any()
    assert np.array_equal(
        np.char.startswith(told.astype(str), "because you like Comedy"),
        named | (shown.items[0] == shown.items[0, -1]),
    )


def test_what_goes_with_what_is_told_by_swing_where_item_cf_is_not_asked(recommender):
    channels = {name: each for name, each in recommender.channels.items() if name != "item_cf"}
    swing = SwingRecall(k_similar=30).fit(recommender.past)
    ours = replace(recommender, channels={**channels, "swing": swing})
    assert recommender.related is recommender.channels["item_cf"].similar_
    assert ours.similar(np.array([7]), 5).items.tolist() == swing.similar(np.array([7]), 5).items.tolist()
    assert any(each.startswith("because you had") for each in reasons(ours, lists(recommender, [3], k=20))[0])


def test_without_a_table_of_similar_items_there_are_reasons_too(recommender):
    channels = {name: each for name, each in recommender.channels.items() if name != "item_cf"}
    ours = replace(recommender, channels=channels)
    assert (reasons(ours, lists(recommender, [3])) != "").all()
    assert (ours.similar(np.array([7]), 5).items == PAD).all()


@pytest.fixture
def written(request, tmp_path):
    """Write a data set in the shape of the tiny one from (user, item, seconds)."""

    def write(ratings):
        tiny = request.config.rootpath / "tests/data/tiny/dataset.yaml"
        (tmp_path / "dataset.yaml").write_text(tiny.read_text())
        users, items = sorted({user for user, _, _ in ratings}), sorted({item for _, item, _ in ratings})
        tables = {
            "users": ["user_id,age,gender,occupation", *(f"{user},30,F,artist" for user in users)],
            "items": ["item_id,title,genres,year", *(f"{item},T,Action,1990" for item in items)],
            "ratings": ["user_id,item_id,rating,timestamp", *(f"{u},{i},4,{t}" for u, i, t in ratings)],
        }
        for name, rows in tables.items():
            (tmp_path / f"{name}.csv").write_text("\n".join(rows) + "\n")
        return prepare(tmp_path, tmp_path / "raw", seed=0)

    return write


def test_one_user_who_has_seen_all_but_the_newest(written, trained):
    dataset = written([("u", f"i{n}", 1000 + n * DAY) for n in range(40)])
    recommender = trained(dataset)
    shown = lists(recommender, [0, PAD], k=50)
    past = set(recommender.past.item_idx)
    assert (shown.items[0] == PAD).all()  # an item that nobody has met is nowhere to be found
    assert set(shown.items[1]) - {PAD} == past


def test_one_item_goes_to_whoever_has_not_had_it(written, trained):
    dataset = written([(f"u{n}", "i", 1000 + n * DAY) for n in range(40)])
    recommender = trained(dataset)
    had = recommender.past.user_idx
    shown = lists(recommender, np.arange(40), k=3)
    assert (shown.items[had] == PAD).all()
    assert (np.delete(shown.items[:, 0], had) == 0).all()
