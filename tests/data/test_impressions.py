"""What was shown to whoever was there: `interactions.impressions` of a dataset.yaml."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data import impressions
from recsys.data.impressions import Met, Places
from recsys.data.prepare import check, prepare

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(1, 9), st.integers(-1, 2)))
PAIRS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)))


def columns(rows, n):
    return np.array(rows, dtype=np.int64).reshape(-1, n).T


@given(ROWS, PAIRS)
def test_passed_over_is_what_a_place_shows_and_its_visitor_did_not_meet_there(rows, pairs):
    found = Places.of(*columns(pairs, 2)).passed_over(Met(*columns(rows, 4)))
    visits = {(user, at) for user, _, _, at in rows if at >= 0}
    met = {(user, at, item) for user, item, _, at in rows}
    came = {visit: min(when for user, _, when, at in rows if (user, at) == visit) for visit in visits}
    expected = {
        (user, item, came[user, at], at)
        for user, at in visits
        for place, item in pairs
        if place == at and (user, at, item) not in met
    }
    told = list(
        zip(*(each.tolist() for each in (found.users, found.items, found.timestamp, found.at)), strict=True)
    )
    assert len(told) == len(expected)
    assert set(told) == expected


@pytest.fixture
def shop(folder, respec):
    """Ratings are given in one of three rooms, on even or odd days; two show something."""
    told = pd.read_csv(folder / "ratings.csv")
    room, day = np.arange(len(told)) % 3, told.timestamp // 86400 % 2
    told.assign(room=[f"r{each}" for each in room], day=day).to_csv(folder / "ratings.csv", index=False)
    rows = [
        ("r0", 0, "i1", "wall"),
        ("r0", 0, "i2", "door"),
        ("r0", 1, "i3", "door"),
        ("r2", 1, "i3", "wall"),
    ]
    displays = pd.DataFrame(rows, columns=["room", "day", "film", "where"])
    displays.to_csv(folder / "displays.csv", index=False)
    respec(
        {
            "interactions.impressions": {
                "file": "displays.csv",
                "item_id": "film",
                "at": ["room", "day"],
            }
        }
    )
    return folder


def shown(dataset):
    events = dataset.events[~dataset.positive]
    users, items = (
        table[name].to_numpy()[rows]
        for table, name, rows in (
            (dataset.users, "user_id", events.user_idx),
            (dataset.items, "item_id", events.item_idx),
        )
    )
    return set(zip(users, items, events.timestamp.tolist(), strict=True))


def expected(folder, keep=lambda displays: displays):
    told = pd.read_csv(folder / "ratings.csv")
    visits = told.groupby(["user_id", "room", "day"]).timestamp.min().reset_index()
    seen = visits.merge(keep(pd.read_csv(folder / "displays.csv")), on=["room", "day"])
    met = set(zip(told.user_id, told.room, told.day, told.item_id, strict=True))
    return {
        (row.user_id, row.film, row.timestamp)
        for row in seen.itertuples()
        if (row.user_id, row.room, row.day, row.film) not in met
    }


def test_what_a_place_shows_is_an_event_without_interest_of_all_who_were_there(shop, ready):
    ours = ready(shop)
    assert shown(ours) == expected(shop)
    passed_over = ours.events[~ours.positive]
    assert not passed_over.value.any()
    assert not any(label.any() for label in passed_over.labels.values())


def test_interactions_are_what_they_are_without_impressions(shop, respec, ready):
    ours = ready(shop).interactions
    respec({"interactions.impressions": None})
    alone = ready(shop).interactions
    for name in ("user_idx", "item_idx", "timestamp", "value"):
        assert np.array_equal(getattr(ours, name), getattr(alone, name))


def test_only_rows_where_a_column_says_so_count(shop, respec, ready):
    respec({"interactions.impressions.where": {"where": ["door"]}})
    assert shown(ready(shop)) == expected(shop, lambda displays: displays[displays["where"] == "door"])


def test_what_is_saved_comes_back(shop, ready, tmp_path):
    ours = ready(shop)
    ours.save(tmp_path / "saved")
    assert shown(type(ours).load(tmp_path / "saved")) == shown(ours)


def test_of_the_context_of_what_was_shown_nothing_is_known(shop, respec, ready):
    respec({"interactions.columns.context": {"room": "room"}})
    ours = ready(shop)
    assert set(ours.events.context["room"][~ours.positive]) == {None}
    assert set(ours.interactions.context["room"]) == {"r0", "r1", "r2"}


def test_a_report_tells_how_many_there_are(shop):
    report = check(shop)
    assert {table.file: table.kept for table in report.tables}["displays.csv"] == 4
    assert f"{len(expected(shop)):,} impressions" in list(report.lines())[-1]


def test_items_that_are_shown_and_not_listed_are_told_of(shop, respec):
    respec({"bad_rows_limit": 0.5})
    with (shop / "displays.csv").open("a") as file:
        file.write("r0,0,i999,door\n")
    (finding,) = check(shop).findings
    assert (finding.file, finding.column, finding.count) == ("displays.csv", "film", 1)
    assert "row 6" in finding.examples[0]


def test_items_that_are_shown_and_nobody_met_are_items(shop, respec, ready):
    respec({"items": None})
    with (shop / "displays.csv").open("a") as file:
        file.write("r0,0,i999,door\nr9,0,i998,door\n")
    ours = set(ready(shop).items.item_id)
    assert "i999" in ours
    assert "i998" not in ours  # nobody was there


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"at": ["room", "dya"]}, "ratings.csv: has no column 'dya' (interactions.impressions.at)"),
        ({"at": ["room", "where"]}, "ratings.csv: has no column 'where' (interactions.impressions.at)"),
        ({"item_id": "films"}, "displays.csv: has no column 'films' (interactions.impressions.item_id)"),
        (
            {"where": {"wher": ["door"]}},
            "displays.csv: has no column 'wher' (interactions.impressions.where)",
        ),
        ({"where": {"where": ["roof"]}}, "displays.csv: nobody was where it shows anything"),
        ({"file": "display.csv"}, "display.csv: there is no such file"),
        ({"at": []}, "interactions.impressions.at"),
    ],
)
def test_what_cannot_be_used_is_refused(shop, respec, refusal, fields, told):
    respec({f"interactions.impressions.{name}": value for name, value in fields.items()})
    assert told in refusal(shop)


def test_more_than_there_may_be_are_refused(shop, refusal, monkeypatch):
    monkeypatch.setattr(impressions, "MOST", 3)
    assert "more than 3; `where` says which of its rows count" in refusal(shop)


def test_files_that_are_many_are_read_as_one(shop, respec, ready):
    told = (shop / "displays.csv").read_text().splitlines(keepends=True)
    for number, rows in enumerate((told[1:3], told[3:])):
        (shop / f"displays{number}.csv").write_text("".join([told[0], *rows]))
    respec({"interactions.impressions.file": "displays*.csv"})
    (shop / "displays.csv").rename(shop / "all.csv")
    ours = shown(ready(shop))
    (shop / "all.csv").rename(shop / "displays.csv")
    assert ours == expected(shop)


def test_a_day_knows_only_what_was_shown_by_then(shop):
    moments = pd.read_csv(shop / "ratings.csv").timestamp
    day = pd.Timestamp(int(moments.median()), unit="s").strftime("%Y-%m-%d")
    ours = prepare(shop, shop / "raw", seed=0, day=day)
    assert ours.events.timestamp.max() < pd.Timestamp(day).timestamp() + 86400
    assert (~ours.positive).any()
