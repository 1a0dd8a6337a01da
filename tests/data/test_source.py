"""Files of all kinds make one data set."""

import bz2
import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.data.prepare import check
from recsys.data.report import DataError
from recsys.features.statistics import Statistics


def same(one, other):
    assert one.users.equals(other.users)
    assert one.items.equals(other.items)
    for name in ("user_idx", "item_idx", "timestamp", "value"):
        assert np.array_equal(getattr(one.events, name), getattr(other.events, name))


def records(path):
    return pd.read_csv(path, dtype=str, keep_default_na=False).to_dict("records")


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def zstd(path: Path) -> bytes:
    return bytes(pa.compress(path.read_bytes(), codec="zstd", asbytes=True))


# Compressed


@pytest.mark.parametrize(
    ("suffix", "compressed"),
    [
        (".gz", lambda path: gzip.compress(path.read_bytes())),
        (".bz2", lambda path: bz2.compress(path.read_bytes())),
        (".zst", zstd),
    ],
)
def test_a_compressed_file_is_what_is_in_it(folder, respec, suffix, compressed, ready):
    plain = ready(folder)
    (folder / f"ratings.csv{suffix}").write_bytes(compressed(folder / "ratings.csv"))
    respec({"interactions.file": f"ratings.csv{suffix}"})
    same(ready(folder), plain)


def test_a_bad_cell_of_a_compressed_file_is_named_by_its_line(folder, put, respec):
    put("ratings.csv", 7, "timestamp", "yesterday")
    (folder / "ratings.csv.gz").write_bytes(gzip.compress((folder / "ratings.csv").read_bytes()))
    respec({"interactions.file": "ratings.csv.gz"})
    assert check(folder).findings[0].examples[0].startswith("ratings.csv.gz: row 7, column 'timestamp'")


def test_half_a_compressed_file_is_refused(folder, respec, refusal):
    whole = gzip.compress((folder / "ratings.csv").read_bytes())
    (folder / "ratings.csv.gz").write_bytes(whole[: len(whole) // 2])
    respec({"interactions.file": "ratings.csv.gz"})
    assert refusal(folder).startswith("ratings.csv.gz: cannot be read as csv")


# Several


def in_parts(folder, respec, n=3):
    """Cut the interactions into ``n`` files of a folder."""
    whole = pd.read_csv(folder / "ratings.csv", dtype=str)
    (folder / "days").mkdir()
    for number, rows in enumerate(np.array_split(np.arange(len(whole)), n)):
        whole.iloc[rows].to_csv(folder / "days" / f"{number}.csv", index=False)
    respec({"interactions.file": "days/*.csv"})


def test_files_of_one_pattern_are_one(folder, respec, ready):
    whole = ready(folder)
    in_parts(folder, respec)
    same(ready(folder), whole)
    assert check(folder).tables[-1].file == "days/*.csv"


def test_a_bad_cell_is_named_in_its_own_file(folder, respec, put):
    in_parts(folder, respec)
    put("days/1.csv", 3, "rating", "good")
    (finding,) = check(folder).findings
    assert finding.examples == ("days/1.csv: row 3, column 'rating': 'good' is not a number",)


def test_a_pattern_that_no_file_has_is_told(folder, respec, refusal):
    respec({"interactions.file": "days/*.csv"})
    assert refusal(folder).endswith("days/*.csv: no file has such a name")


def test_a_part_that_lacks_a_column_is_named(folder, respec, refusal):
    in_parts(folder, respec)
    (folder / "days" / "2.csv").write_text("user_id,item_id\nu1,i1\n")
    assert refusal(folder).startswith("days/2.csv: has no column")


# Parquet


def test_long_ids_beside_a_gap_stay_exact(folder, respec, ready):
    ratings = pd.read_csv(folder / "ratings.csv").drop(columns="user_id")
    ids = 2**53 + 1 + np.arange(len(ratings)) % 2
    users = pa.array([None, *ids.tolist()[1:]], type=pa.int64())
    table = pa.Table.from_pandas(ratings).append_column("user_id", users)
    pq.write_table(table, folder / "ratings.parquet")
    respec({"interactions.file": "ratings.parquet", "interactions.format": "parquet", "users": None})
    assert sorted(ready(folder).users["user_id"]) == [str(2**53 + 1), str(2**53 + 2)]


# JSON lines


def test_json_lines_and_csv_give_one_data_set(folder, respec, ready):
    plain = ready(folder)
    for name, part in (("ratings", "interactions"), ("users", "users"), ("items", "items")):
        write_lines(folder / f"{name}.jsonl", records(folder / f"{name}.csv"))
        respec({f"{part}.file": f"{name}.jsonl", f"{part}.format": "jsonl"})
    same(ready(folder), plain)


def test_json_may_hold_numbers_flags_lists_and_gaps(folder, respec, ready):
    rows = [
        {**row, "rating": float(row["rating"]), "timestamp": int(row["timestamp"]), "clicked": True}
        for row in records(folder / "ratings.csv")
    ]
    write_lines(folder / "ratings.jsonl", rows)
    items = [{"item_id": row["item_id"], "tags": ["a", "b", "a"]} for row in records(folder / "items.csv")]
    write_lines(folder / "items.jsonl", [{**items[0], "tags": None}, *items[1:]])
    respec(
        {
            "interactions.file": "ratings.jsonl",
            "interactions.format": "jsonl",
            "interactions.columns.feedback": {"clicked": "clicked"},
            "tasks.clicked": {"kind": "binary", "rule": "clicked == 1"},
            "items": {
                "file": "items.jsonl",
                "format": "jsonl",
                "id": "item_id",
                "attributes": {"tags": {"type": "labels", "encoder": "multi_hot"}},
            },
        }
    )
    ours = ready(folder)
    assert ours.events.labels["clicked"].all()
    assert sorted(map(len, ours.items.tags)) == [0] + [2] * (len(items) - 1)


@pytest.mark.parametrize(
    ("line", "problem"),
    [("{'user_id': 1}", "is not JSON"), ("[1, 2]", "is no JSON object"), ('{"user_id": ', "is not JSON")],
)
def test_a_line_that_is_no_object_is_named(folder, respec, line, problem, refusal):
    write_lines(folder / "ratings.jsonl", records(folder / "ratings.csv"))
    with (folder / "ratings.jsonl").open("a") as file:
        file.write(f"\n{line}\n")
    respec({"interactions.file": "ratings.jsonl", "interactions.format": "jsonl"})
    row = len(records(folder / "ratings.csv")) + 2
    assert refusal(folder).startswith(f"ratings.jsonl: row {row}: {problem}")


def test_what_is_no_single_value_in_json_is_a_bad_cell(folder, respec):
    rows = records(folder / "ratings.csv")
    rows[2]["user_id"], rows[3]["rating"], rows[4]["timestamp"] = ["u1"], {"stars": 3}, [1]
    write_lines(folder / "ratings.jsonl", rows)
    respec({"interactions.file": "ratings.jsonl", "interactions.format": "jsonl"})
    found = {finding.column: finding.examples[0] for finding in check(folder).findings}
    assert set(found) == {"user_id", "rating", "timestamp"}
    assert found["rating"].startswith("ratings.jsonl: row 4,")


def test_a_name_that_no_object_has_is_told(folder, respec, refusal):
    write_lines(folder / "ratings.jsonl", records(folder / "ratings.csv"))
    respec(
        {
            "interactions.file": "ratings.jsonl",
            "interactions.format": "jsonl",
            "interactions.columns.value": "stars",
        }
    )
    assert "has no column 'stars' (interactions.columns.value)" in refusal(folder)


# No time, no list of all users


TIMELESS = {"user_id": "user_id", "item_id": "item_id", "timestamp": None, "value": "rating"}


def test_without_timestamps_order_is_drawn_and_only_leave_last_out_can_be_cut(folder, respec, ready):
    respec({"interactions.columns": TIMELESS, "request": None})
    with pytest.raises(
        DataError, match=r"data\.splits: there are no timestamps: .* only leave_last_out can be"
    ):
        ready(folder)
    ours = ready(folder, splits={"leave_last_out": {}})
    assert len(np.unique(ours.events.timestamp)) == 1
    assert ours.fold("leave_last_out", "test").tied.all()
    assert "there are no timestamps" in [*check(folder).lines()][-1]


def test_a_feature_of_the_moment_needs_one(folder, respec, refusal):
    respec({"interactions.columns": TIMELESS})
    assert "request.attributes.day_of_week: no request tells 'timestamp'" in refusal(folder)


def test_who_is_not_listed_is_kept_where_the_list_is_not_complete(folder, respec, ready, refusal):
    whole = ready(folder)
    for name in ("users", "items"):
        pd.read_csv(folder / f"{name}.csv", dtype=str)[:30].to_csv(folder / f"{name}.csv", index=False)
    assert "is not among the users" in refusal(folder)
    assert "say `complete: false` in users" in refusal(folder)
    respec({"users.complete": False, "items.complete": False})
    ours = ready(folder)
    assert len(ours.events) == len(whole.events)
    kept = pd.read_csv(folder / "users.csv").user_id
    assert set(ours.users.user_id) == {*kept, *pd.read_csv(folder / "ratings.csv").user_id}
    listed = ours.users.user_id.isin(kept)
    before = whole.users[whole.users.user_id.isin(kept)]
    assert ours.users[listed].reset_index(drop=True).equals(before.reset_index(drop=True))
    assert ours.users.loc[~listed, "gender"].isna().all()
    unlisted = ours.items[~ours.items.item_id.isin(pd.read_csv(folder / "items.csv").item_id)]
    assert unlisted.title.tolist() == unlisted.item_id.tolist()
    assert unlisted.year.isna().all()
    assert unlisted.genres.tolist() == [[]] * len(unlisted)
    ours.save(folder / "saved")
    same(type(ours).load(folder / "saved"), ours)


def test_another_unit_is_advised_where_it_would_do(folder, put):
    put("ratings.csv", 3, "timestamp", "2021-04-20T12:00:00Z")
    (finding,) = check(folder).findings
    assert finding.advice == "`unit: iso` reads most of them"


def test_without_timestamps_a_pair_that_was_taken_once_is_taken(folder, respec, ready):
    rows = [(f"u{user}", "i1", clicked) for user in range(9) for clicked in (0, 1, 0)]
    pd.DataFrame(rows, columns=["user_id", "item_id", "clicked"]).to_csv(folder / "log.csv", index=False)
    timeless = {name: TIMELESS[name] for name in ("user_id", "item_id", "timestamp")}
    respec({"interactions": {"file": "log.csv", "columns": timeless | {"feedback": {"clicked": "clicked"}}}})
    respec(
        {
            "interactions.positive": "clicked == 1",
            "tasks": {"click": {"kind": "binary", "rule": "clicked == 1"}},
        }
    )
    respec({"request": None})
    ours = ready(folder, splits={"leave_last_out": {}})
    assert len(ours.events) == 9
    assert ours.positive.all()


def test_without_timestamps_what_is_known_is_counted(folder, respec, ready):
    respec({"interactions.columns": TIMELESS, "request": None})
    ours = ready(folder, splits={"leave_last_out": {}})
    fold = ours.fold("leave_last_out", "test")
    counts = Statistics.fit(fold.past).at(np.arange(len(ours.items)), int(fold.now[0] // 3600 * 3600))
    assert counts["item_count"].sum() == len(fold.past)


@pytest.mark.parametrize("cell", [True, np.True_])
def test_yes_and_no_are_words(folder, respec, cell, ready):
    rows = records(folder / "users.csv")
    pd.DataFrame([{**row, "member": cell} for row in rows]).to_parquet(folder / "users.parquet")
    respec(
        {
            "users.file": "users.parquet",
            "users.format": "parquet",
            "users.attributes.member": {"encoder": "hash"},
        }
    )
    respec({"users.attributes.age": None})
    assert set(ready(folder).users.member) == {"true"}
