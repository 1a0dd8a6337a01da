"""A release at work, without HTTP around it."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.business_rules import Rules
from recsys.lists import Lists, lists_in, unpacked
from recsys.pipeline import FALLBACK, FULL, UNRANKED
from recsys.serving import PARTIAL, STEPS, TABLES, Ask, Live
from recsys.serving.interests import STAND_INS, standing_in
from recsys.serving.replay import record, replay
from recsys.serving.stages import MEASURED, Usual
from recsys.store import Event

users = st.sampled_from([f"u{n}" for n in range(60)] + ["nobody"])


@pytest.fixture(scope="module")
def list_of(recommender):
    """Lists as they stand in a store."""
    made = Lists.of(recommender)
    ids = recommender.catalogue.users.decode(made.users)
    return dict(zip(ids.tolist(), made.packed(), strict=True)).get


def test_lists_are_of_those_who_were_there_last(recommender, tmp_path):
    every, few = Lists.of(recommender), Lists.of(recommender, most=7)
    assert every.users.tolist() == list(range(len(recommender.catalogue.users)))
    last = np.zeros(len(every.users))
    np.maximum.at(last, recommender.past.user_idx, recommender.past.timestamp)
    assert len(few.users) == 7
    assert last[few.users].min() >= np.delete(last, few.users).max()
    np.testing.assert_array_equal(few.ranked.items, every.ranked.items[few.users])
    few.save(tmp_path / "lists.npz")
    kept = dict(lists_in(tmp_path / "lists.npz", recommender))
    assert list(kept) == recommender.catalogue.users.decode(few.users).tolist()
    np.testing.assert_array_equal(unpacked(list(kept.values())).items, few.ranked.items)


@pytest.fixture(scope="module")
def live(recommender, list_of):
    return Live("0" * 12, recommender, list_of)


def ids(answer):
    return [item["item_id"] for item in answer.items]


def answered(live, ask, events=(), deadline=60.0):
    return live.recommend(ask, events, deadline)


def item_ids(live):
    return live.recommender.catalogue.items.ids.tolist()


def history(live, user_id):
    past, row = live.recommender.past, live.recommender.catalogue.users.row(user_id)
    mine = past.item_idx[past.user_idx == row]
    return {item_ids(live)[item] for item in mine} if row >= 0 else set()


@given(user_id=users, k=st.integers(1, 30))
def test_lists_and_scores_are_the_recommenders(live, user_id, k):
    ours = live.recommender
    rows = ours.catalogue.users.encode([user_id])
    shown = ours.recommend(ours.requests(rows), k)
    answer = answered(live, Ask(user_id, k))
    found = shown.items[0][shown.items[0] >= 0]
    assert ids(answer) == ours.catalogue.items.decode(found).tolist()
    assert [item["score"] for item in answer.items] == pytest.approx(shown.scores[0][: len(found)].tolist())
    assert answer.served_by == shown.served_by[0]


@pytest.mark.parametrize("step", STEPS)
@settings(max_examples=30)
@given(
    user_id=users,
    met=st.lists(st.integers(0, 79), max_size=10),
    excluded=st.lists(st.integers(0, 79), max_size=10),
)
def test_nothing_seen_or_excluded_on_any_page_at_any_step(live, step, user_id, met, excluded):
    names = item_ids(live)
    events = [Event(names[item], live.now() + n) for n, item in enumerate(met)]
    gone = history(live, user_id) | {names[item] for item in met} | {names[item] for item in excluded}
    exclude = tuple(names[item] for item in excluded)
    for page in range(3):
        answer = live.recommend(Ask(user_id, 5, page, exclude), events, steps=[step, FALLBACK])
        assert not gone & set(ids(answer))


@given(
    asked=st.lists(
        st.tuples(
            users,
            st.lists(st.integers(0, 79), max_size=3),
            st.lists(st.integers(0, 79), max_size=3),
            st.booleans(),
        ),
        min_size=1,
        max_size=5,
    ),
    page=st.integers(0, 2),
)
def test_who_is_answered_together_gets_what_each_gets_alone(live, asked, page):
    names, now = item_ids(live), live.now()
    asks = [
        Ask(user_id, 5, page, tuple(names[item] for item in excluded), explain)
        for user_id, _, excluded, explain in asked
    ]
    events = [[Event(names[item], now + n) for n, item in enumerate(met)] for _, met, _, _ in asked]
    together = live.recommend_all(asks, events, traced=True)
    for ask, known, answer in zip(asks, events, together, strict=True):
        alone = live.recommend(ask, known, traced=True)
        assert answer.items == alone.items
        assert (answer.step, answer.served_by, answer.trace) == (alone.step, alone.served_by, alone.trace)


def test_an_event_told_late_is_seen_all_the_same(live):
    before = ids(answered(live, Ask("u3", 5)))
    assert before[0] not in ids(answered(live, Ask("u3", 5), [Event(before[0], 0)]))


@given(user_id=users, k=st.integers(1, 9))
def test_pages_neither_repeat_nor_lose(live, user_id, k):
    shown = [item for page in range(41) for item in ids(answered(live, Ask(user_id, k, page)))]
    assert len(shown) == len(set(shown))
    requests = live.requests([Ask(user_id)], [()])
    candidates = live.recommender.recall(requests).items[0]
    assert sorted(shown) == sorted(item_ids(live)[item] for item in candidates if item >= 0)


@pytest.mark.parametrize("step", STEPS)
@given(user_id=users, page=st.integers(0, 2))
def test_what_is_blocked_or_expired_appears_at_no_step(recommender, list_of, step, user_id, page):
    gone = recommender.catalogue.items.ids[:40].tolist()
    block, expiry = {"items": gone[:20]}, [{"item": item, "at": "2000-01-01"} for item in gone[20:]]
    rules = Rules.model_validate({"block": block, "expiry": expiry})
    live = Live("0" * 12, replace(recommender, rules=rules), list_of)
    shown = ids(live.recommend(Ask(user_id, 10, page), (), steps=[step, FALLBACK]))
    assert shown or page
    assert not set(gone) & set(shown)


@given(user_id=users, k=st.integers(1, 20))
def test_the_list_made_with_the_release_is_the_answer_as_long_as_nothing_happens(live, user_id, k):
    ask = Ask(user_id, k)
    looked_up, full = live.recommend(ask, (), steps=[TABLES, FALLBACK]), live.recommend(ask, ())
    assert ids(looked_up) == ids(full)
    assert looked_up.served_by == (FALLBACK if user_id == "nobody" else TABLES)


@given(user_id=users, met=st.lists(st.integers(0, 79), max_size=20))
def test_a_list_looked_up_holds_nothing_seen_since(live, user_id, met):
    names = item_ids(live)
    events = [Event(names[item], live.now() + n) for n, item in enumerate(met)]
    answer = live.recommend(Ask(user_id, 20, explain=True), events, steps=[TABLES, FALLBACK])
    assert not set(ids(answer)) & {names[item] for item in met}
    assert all(item["reason"] for item in answer.items)


def test_an_event_moves_the_next_answer(live):
    user_id = "u3"
    before = ids(answered(live, Ask(user_id, 10)))
    after = answered(live, Ask(user_id, 10), [Event(before[0], live.now())])
    assert before[0] not in ids(after)
    assert ids(after) != before[1:] + ids(after)[-1:]


def test_events_make_a_stranger_known(live):
    names = item_ids(live)
    assert answered(live, Ask("nobody")).served_by == FALLBACK
    assert answered(live, Ask("nobody"), [Event(names[3], live.now())]).served_by == FULL


def test_events_of_unknown_items_and_those_it_was_trained_on_change_nothing(live):
    before = answered(live, Ask("u3"))
    known = sorted(history(live, "u3"))[0]
    ignored = [Event("never heard of", live.now()), Event(known, live.recommender.now - 1)]
    after = live.requests([Ask("u3")], [ignored])
    assert after.history.lengths[0] == live.requests([Ask("u3")], [()]).history.lengths[0]
    assert ids(before) == ids(answered(live, Ask("u3", now=live.now()), ignored))


def test_explained_items_say_why(live):
    for item in answered(live, Ask("u3", 5, explain=True)).items:
        assert item["reason"]
        assert item["channels"]
        assert set(item["probabilities"]) == {"watched", "liked"}


@pytest.mark.parametrize(
    ("broken", "step"),
    [(("ranker",), UNRANKED), (("mf",), TABLES), (("mf", "lists"), FALLBACK)],
)
def test_what_breaks_is_left_out(recommender, list_of, monkeypatch, broken, step):
    def fail(*_, **__):
        raise RuntimeError("broken")

    live = Live("0" * 12, recommender, fail if "lists" in broken else list_of)
    if "ranker" in broken:
        monkeypatch.setattr(recommender.ranker, "score", fail)
    if "mf" in broken:
        monkeypatch.setattr(recommender.channels["mf"], "recall", fail)
    answer = answered(live, Ask("u3", 10))
    assert answer.served_by == step
    assert len(answer.items) == 10


def test_without_time_to_rank_the_merged_order_is_shown(live):
    assert answered(live, Ask("u3"), deadline=0.0).served_by == UNRANKED


@pytest.fixture
def slow_item_cf(recommender, monkeypatch):
    """The second channel takes a quarter of a second."""
    channel = recommender.channels["item_cf"]
    recall = channel.recall

    def slowly(*arguments):
        time.sleep(0.25)
        return recall(*arguments)

    monkeypatch.setattr(channel, "recall", slowly)


def test_once_its_share_of_time_is_over_recall_asks_no_further_channel(live, slow_item_cf):
    answer = answered(live, Ask("u3", 10, explain=True), deadline=0.45)
    assert (answer.step, answer.served_by, answer.whole) == (FULL, PARTIAL, False)
    assert answer.left_out == ["user_cf", "mf", "two_tower", "cluster"]
    assert {name for item in answer.items for name in item["channels"]} <= {"popular", "item_cf"}
    assert len(answer.items) == 10
    assert all(item["probabilities"] for item in answer.items)


def test_a_partial_answer_is_replayed_the_same(live, slow_item_cf):
    ask = Ask("u3", 10)
    answer = live.recommend(ask, (), 0.45, traced=True)
    assert answer.left_out
    assert replay(record(0.0, live.id, ask, b"", answer), lambda _: live) is None


def test_ranking_is_left_out_where_it_usually_takes_longer_than_there_is_time(recommender):
    live = Live("0" * 12, recommender)
    for _ in range(3):
        live._ranking.took(10.0)
    served = [answered(live, Ask("u3"), deadline=5.0).served_by for _ in range(4)]
    assert served == [UNRANKED] * 3 + [FULL]  # what was slow is tried again


def test_what_ranking_usually_takes_is_the_median_of_its_last_times():
    usual = Usual()
    assert usual.seconds == 0
    for seconds in (1.0, 100.0, 2.0, *[3.0] * MEASURED, 5.0):
        usual.took(seconds)
    assert usual.seconds == 3
    for _ in range(2 * MEASURED):
        usual.was_not_tried()
    assert usual.seconds == 0


def test_the_largest_category_comes_first_with_its_most_popular_items(live):
    catalogue = live.recommender.catalogue
    popular = ids(answered(live, Ask("nobody", 80)))
    of = dict(zip(item_ids(live), catalogue.categories, strict=True))
    sizes = [sum(name in of[item] for item in popular) for name in live.categories]
    assert sizes == sorted(sizes, reverse=True)
    for name, items in live.categories.items():
        met = [item for item in popular if name in of[item]]
        assert len(items) == min(len(met), STAND_INS)
        assert set(items) <= set(met)


def test_a_category_stands_for_its_items_and_is_told_as_the_reason(live):
    name = next(iter(live.categories))
    ask, now = Ask("", 20, explain=True), live.now()
    by_category = live.interests(ask, (), (name,), now)
    assert ids(by_category) == ids(live.interests(ask, live.categories[name], (), now))
    assert by_category.served_by == FULL
    had = {f"because you had {live.recommender.catalogue.titles[n]}" for n in range(80)}
    told = [item["reason"].split("; ")[0] for item in by_category.items]
    assert not had & set(told)
    assert f"because you like {name}" in told


def test_stand_ins_are_few_and_each_category_has_one(live, monkeypatch):
    monkeypatch.setattr("recsys.serving.interests.MOST_STAND_INS", len(live.categories))
    stand_ins = standing_in(live.categories, list(live.categories), ())
    assert len(stand_ins) <= len(live.categories)
    assert {live.categories[name][0] for name in live.categories} == set(stand_ins)


def test_what_the_release_does_not_know_is_no_interest(live):
    assert live.interests(Ask(""), ("never heard of",), ("unheard of",), live.now()).served_by == FALLBACK


def test_similar_items_and_an_unknown_one(live):
    names = item_ids(live)
    assert live.similar("never heard of", 5) is None
    assert names[3] not in [item["item_id"] for item in live.similar(names[3], 5)]


def test_time_is_told_by_stage_and_channel(live):
    spent = answered(live, Ask("u3")).spent
    assert {"recall", "rank", "rerank", "entries", *live.recommender.channels} == set(spent)
    assert np.isfinite(list(spent.values())).all()
