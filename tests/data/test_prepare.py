import numpy as np
import pandas as pd
import pytest

from recsys.data.dataset import Dataset
from recsys.data.prepare import check, prepare
from recsys.data.report import DataError


def spoil_column(folder, file, column, text):
    table = pd.read_csv(folder / file, dtype=str)
    table.assign(**{column: text}).to_csv(folder / file, index=False)


def head(folder, file, rows):
    lines = (folder / file).read_text().splitlines(keepends=True)
    (folder / file).write_text("".join(lines[: rows + 1]))


def append(folder, file, *lines):
    with (folder / file).open("a") as target:
        target.writelines(f"{line}\n" for line in lines)


# What is right


def test_a_clean_data_set_has_nothing_to_report(folder):
    report = check(folder)
    assert [(table.file, table.rows == table.kept) for table in report.tables] == [
        ("users.csv", True),
        ("items.csv", True),
        ("ratings.csv", True),
    ]
    assert list(report.lines())[-1] == "nothing wrong was found"


def test_attributes_are_numbers_texts_and_lists(folder, ready):
    ours = ready(folder)
    user, item = ours.user_vocabulary.encode(["u5"])[0], ours.item_vocabulary.encode(["i9"])[0]
    assert np.isnan(ours.users.age[user])
    assert ours.users.gender[user] in {"F", "M"}
    assert np.isnan(ours.items.year[item])
    assert ours.items.title[item] == 'Film "9", Part 4'
    assert set(ours.items.genres.explode()) == {"Action", "Comedy", "Drama", "Horror"}


def test_a_missing_category_is_none(folder, put, ready):
    put("users.csv", 2, "gender", "")
    assert ready(folder).users.gender.tolist().count(None) == 1


def test_interactions_carry_value_and_labels(folder, ready):
    inter = ready(folder).interactions
    assert inter.labels["watched"].all()
    assert np.array_equal(inter.labels["liked"], inter.value >= 4)


def test_only_positives_are_interactions(folder, respec, ready):
    respec({"interactions.positive": "value >= 4"})
    ours = ready(folder)
    assert ours.interactions.value.min() == 4
    assert ours.events.value.min() == 1


def test_a_numeric_task_is_labelled_with_its_feedback(folder, respec, ready):
    respec(
        {
            "interactions.columns.feedback": {"stars": "rating"},
            "tasks.stars": {"kind": "numeric", "rule": "stars", "full": 4},
        }
    )
    inter = ready(folder).interactions
    assert np.array_equal(inter.labels["stars"], np.minimum(inter.value / 4, 1))


def test_an_interaction_that_tells_no_price_stays(folder, respec, ready):
    told = pd.read_csv(folder / "ratings.csv")
    told.assign(paid=[""] + ["5"] * (len(told) - 1)).to_csv(folder / "ratings.csv", index=False)
    respec(
        {
            "interactions.columns.feedback": {"paid": "paid"},
            "interactions.observed": {"price": {"feedback": "paid"}},
        }
    )
    price = ready(folder).events.observed["price"]
    assert np.isnan(price).sum() == 1
    assert (price[~np.isnan(price)] == 5).all()


def test_what_is_observed_of_items_stays_with_their_interactions(folder, respec, ready, tmp_path):
    told = pd.read_csv(folder / "ratings.csv").assign(
        n=np.arange(1, len(pd.read_csv(folder / "ratings.csv")) + 1) % 3
    )
    told.to_csv(folder / "ratings.csv", index=False)
    respec(
        {
            "interactions.columns.feedback": {"n": "n"},
            "interactions.observed": {"price": {"feedback": "value", "per": "n"}, "n": {"feedback": "n"}},
        }
    )
    ours = ready(folder)
    price, n = (ours.events.observed[name] for name in ("price", "n"))
    assert np.isnan(price[n == 0]).all()
    assert price[n > 0] == pytest.approx(ours.events.value[n > 0] / n[n > 0])
    ours.save(tmp_path / "saved")
    again = Dataset.load(tmp_path / "saved").events
    assert np.array_equal(again.observed["price"], price, equal_nan=True)


def test_without_tables_users_and_items_are_those_met(folder, respec, ready):
    respec({"users": None, "items": None})
    ours = ready(folder)
    met = pd.read_csv(folder / "ratings.csv")
    assert ours.users.user_id.tolist() == sorted(met.user_id.unique())
    assert ours.items.title.tolist() == ours.items.item_id.tolist() == sorted(met.item_id.unique())


def test_parquet_and_csv_give_one_data_set(folder, respec, ready):
    csv = ready(folder)
    for name in ("ratings", "users", "items"):
        pd.read_csv(folder / f"{name}.csv").to_parquet(folder / f"{name}.parquet")
        part = "interactions" if name == "ratings" else name
        respec({f"{part}.file": f"{name}.parquet", f"{part}.format": "parquet"})
    parquet = ready(folder)
    assert parquet.users.equals(csv.users)
    assert parquet.items.equals(csv.items)
    assert np.array_equal(parquet.events.item_idx, csv.events.item_idx)


@pytest.mark.parametrize(
    ("unit", "text"), [("s", "978300760"), ("ms", "978300760999"), ("iso", "2000-12-31T22:12:40Z")]
)
def test_moments_are_seconds_in_any_unit(folder, respec, unit, text, ready):
    spoil_column(folder, "ratings.csv", "timestamp", text)
    respec({"interactions.columns.timestamp": {"column": "timestamp", "unit": unit}})
    assert set(ready(folder).events.timestamp.tolist()) == {978300760}


def test_a_prefix_of_ids_is_stripped(folder, respec, ready):
    respec(
        {
            "interactions.columns.user_id": {"column": "user_id", "strip_prefix": "u"},
            "users.id": {"column": "user_id", "strip_prefix": "u"},
        }
    )
    assert ready(folder).users.user_id.tolist() == sorted(map(str, range(60)))


def test_flag_columns_become_labels(folder, respec, ready):
    items = pd.read_csv(folder / "items.csv").assign(Old=0, New=1)
    items.loc[0, "Old"] = 1
    items.to_csv(folder / "items.csv", index=False)
    respec({"items.attributes.genres": {"flags": ["Old", "New"], "encoder": "multi_hot"}})
    assert ready(folder).items.genres[:2].tolist() == [["Old", "New"], ["New"]]


def test_a_number_can_be_taken_out_of_a_text(folder, respec, ready):
    respec(
        {
            "items.attributes.year": {
                "column": "title",
                "extract": r"Part (\d)",
                "type": "number",
                "encoder": "robust",
            }
        }
    )
    assert ready(folder).items.year[:3].tolist() == [0, 1, 0]  # i0, i1, i10


def test_separator_and_quotes_are_as_declared(folder, respec, ready):
    users = pd.read_csv(folder / "users.csv", dtype=str).fillna("")
    users.loc[0, "occupation"] = '"artist'
    text = "\n".join("\t".join(row) for row in [list(users), *users.to_numpy().tolist()])
    (folder / "users.csv").write_text(text + "\n")
    respec({"users.separator": "\t", "users.quoting": False})
    assert ready(folder).users.occupation[0] == '"artist'


# What cannot be used at all


def test_a_missing_column_is_named(folder, refusal):
    table = pd.read_csv(folder / "ratings.csv").drop(columns="rating")
    table.to_csv(folder / "ratings.csv", index=False)
    assert refusal(folder) == (
        "ratings.csv: has no column 'rating' (interactions.columns.value);"
        " it has 'user_id', 'item_id', 'timestamp'"
    )


@pytest.mark.parametrize(
    ("file", "column", "problem"),
    [
        ("ratings.csv", "timestamp", "'soon' is no moment from 1970 to 2200 in seconds since 1970"),
        ("ratings.csv", "rating", "'soon' is not a number"),
        ("users.csv", "age", "'soon' is not a number"),
    ],
)
def test_a_column_of_the_wrong_type_names_its_first_row(folder, file, column, problem, refusal):
    spoil_column(folder, file, column, "soon")
    assert refusal(folder).startswith(f"{file}: row 2, column {column!r}: {problem}; ")


def test_moments_in_another_unit_are_refused(folder, refusal):
    spoil_column(folder, "ratings.csv", "timestamp", "978300760000")
    assert "row 2, column 'timestamp': '978300760000' is no moment" in refusal(folder)


@pytest.mark.parametrize("file", ["ratings.csv", "users.csv", "items.csv"])
@pytest.mark.parametrize("rows", [-1, 0])
def test_an_empty_file_is_told(folder, file, rows, refusal):
    head(folder, file, rows)
    assert refusal(folder).startswith(f"{file}: is empty")


def test_a_missing_file_is_told(folder, refusal):
    (folder / "items.csv").unlink()
    assert refusal(folder).endswith("items.csv: there is no such file")


def test_a_row_that_is_too_long_is_told_by_its_line(folder, refusal):
    append(folder, "ratings.csv", "u1,i1,5,1600000000,extra")
    assert refusal(folder).startswith("ratings.csv: cannot be read as csv: ")
    assert "line 1960" in refusal(folder)


def test_rows_that_are_all_too_long_are_told(folder, refusal):
    header, *rows = (folder / "users.csv").read_text().splitlines()
    (folder / "users.csv").write_text("\n".join([header, *(f"{row},extra" for row in rows)]))
    assert refusal(folder) == "users.csv: its rows have more cells than its header has columns"


def test_a_file_in_another_encoding_is_told(folder, refusal):
    (folder / "users.csv").write_bytes(b"user_id,age,gender,occupation\nu1,3,F,ma\xe7on\n")
    assert refusal(folder).startswith("users.csv: cannot be read as csv: ")


def test_what_is_no_parquet_is_told(folder, respec, refusal):
    respec({"users.format": "parquet"})
    assert refusal(folder).startswith("users.csv: cannot be read as parquet: ")


def test_an_unknown_data_set_is_told(tmp_path):
    with pytest.raises(DataError, match=r"nothing: is neither a data set \(.*movielens-1m.*\) nor a folder"):
        prepare("nothing", tmp_path, seed=0)


# Single bad rows


@pytest.mark.parametrize(
    ("column", "text", "problem"),
    [
        ("timestamp", "", "'' is no moment"),
        ("timestamp", "nan", "'nan' is no moment"),
        ("timestamp", "-5", "'-5' is no moment"),
        ("timestamp", "inf", "'inf' is no moment"),
        ("rating", "", "'' is not a number"),
        ("rating", "five", "'five' is not a number"),
        ("user_id", "", "'' is not an id"),
        ("user_id", "nobody", "'nobody' is not among the users"),
        ("item_id", "nothing", "'nothing' is not among the items"),
    ],
)
def test_a_bad_row_is_dropped_and_told_with_file_row_and_column(folder, put, column, text, problem, ready):
    put("ratings.csv", 17, column, text)
    (finding,) = check(folder).findings
    assert (finding.file, finding.column, finding.action, finding.count) == (
        "ratings.csv",
        column,
        "dropped",
        1,
    )
    assert finding.examples[0].startswith(f"ratings.csv: row 17, column {column!r}: {problem}")
    assert len(ready(folder).events) == 1957


def test_a_bad_row_of_a_parquet_file_is_counted_from_one(folder, put, respec):
    put("ratings.csv", 17, "timestamp", "")
    pd.read_csv(folder / "ratings.csv").to_parquet(folder / "ratings.parquet")
    respec({"interactions.file": "ratings.parquet", "interactions.format": "parquet"})
    (finding,) = check(folder).findings
    assert finding.examples[0].startswith("ratings.parquet: row 16, column 'timestamp': nan is no moment")


def test_a_bad_row_of_an_unquoted_file_is_told_by_its_line(folder, put, respec):
    put("users.csv", 4, "age", "old")
    respec({"users.quoting": False})
    (finding,) = check(folder).findings
    assert finding.examples == ("users.csv: row 4, column 'age': 'old' is not a number",)


def test_rows_after_a_cell_of_several_lines_keep_their_line(folder, put):
    put("items.csv", 3, "title", "two\nlines")
    put("items.csv", 10, "year", "old")
    (finding,) = check(folder).findings
    assert finding.examples == ("items.csv: row 11, column 'year': 'old' is not a number",)


def test_rows_after_a_blank_line_keep_their_line(folder, put):
    put("ratings.csv", 17, "rating", "five")
    lines = (folder / "ratings.csv").read_text().splitlines()
    (folder / "ratings.csv").write_text("\n".join([*lines[:4], "", *lines[4:]]) + "\n")
    assert [finding.examples[0].split(":")[1] for finding in check(folder).findings] == [
        " row 5, column 'user_id'",
        " row 18, column 'rating'",
    ]


def test_duplicates_are_dropped(folder, ready):
    line = (folder / "ratings.csv").read_text().splitlines()[3]
    append(folder, "ratings.csv", line, line)
    (finding,) = check(folder).findings
    assert finding.count == 2
    assert finding.examples[0].startswith("ratings.csv: row 1960, column 'item_id'")
    assert len(ready(folder).events) == 1958


def test_meeting_an_item_again_at_another_moment_is_no_duplicate(folder):
    user, item, rating, moment = (folder / "ratings.csv").read_text().splitlines()[3].split(",")
    append(folder, "ratings.csv", f"{user},{item},{rating},{int(moment) + 1}")
    assert not check(folder).findings


@pytest.mark.parametrize(("file", "column"), [("users.csv", "user_id"), ("items.csv", "item_id")])
def test_the_first_of_two_equal_ids_is_kept(folder, file, column):
    line = (folder / file).read_text().splitlines()[1]
    rows = len((folder / file).read_text().splitlines())
    append(folder, file, line)
    (finding,) = check(folder).findings
    assert finding.examples[0].startswith(f"{file}: row {rows + 1}, column {column!r}: ")
    assert "stands in an earlier row" in finding.examples[0]


def test_a_bad_attribute_is_emptied_and_its_row_kept(folder, put, ready):
    put("users.csv", 4, "age", "old")
    (finding,) = check(folder).findings
    assert (finding.action, finding.count) == ("emptied", 1)
    assert finding.examples == ("users.csv: row 4, column 'age': 'old' is not a number",)
    assert len(ready(folder).users) == 60


def test_a_user_without_an_id_is_dropped(folder, put, ready):
    put("users.csv", 61, "user_id", "")  # the last one has no ratings
    assert ready(folder).users.user_id.tolist() == sorted(f"u{i}" for i in range(59))


def test_too_many_bad_rows_are_refused_by_the_first_of_them(folder, put, respec, refusal):
    respec({"bad_rows_limit": 0.001})
    put("ratings.csv", 7, "rating", "?")
    assert len(check(folder).findings) == 1
    put("ratings.csv", 9, "timestamp", "?")
    assert "2 of 1,958 rows of the file are bad, more than bad_rows_limit 0.001 allows" in refusal(folder)


def test_check_leaves_no_trace(folder):
    before = sorted(folder.iterdir())
    check(folder)
    assert sorted(folder.iterdir()) == before


# One user, one item


def test_one_user_is_enough(folder, respec, ready):
    respec({"users": None})
    table = pd.read_csv(folder / "ratings.csv")
    table[table.user_id == "u1"].to_csv(folder / "ratings.csv", index=False)
    ours = ready(folder)
    for split in ours.splits:
        assert ours.fold(split, "test").users.tolist() == [0]


def test_one_item_is_enough(folder, respec, ready):
    respec({"items": None})
    table = pd.read_csv(folder / "ratings.csv")
    table[table.item_id == table.item_id[0]].to_csv(folder / "ratings.csv", index=False)
    ours = ready(folder)
    assert len(ours.items) == 1
    assert len(ours.fold("global_time", "test").future)


def test_one_interaction_has_no_fold_and_says_so(folder, ready):
    head(folder, "ratings.csv", 1)
    ours = ready(folder)
    for split in ours.splits:
        with pytest.raises(DataError, match=f"split {split}: fold 'test' has no"):
            ours.fold(split, "test")


# A day's end


def test_of_what_comes_after_the_day_nothing_is_known(folder, ready):
    everything = ready(folder)
    day = pd.to_datetime(np.median(everything.events.timestamp), unit="s").strftime("%Y-%m-%d")
    end = (pd.Timestamp(day) + pd.Timedelta(days=1)).timestamp()
    known = ready(folder, day=day)
    assert 0 < len(known.events) == (everything.events.timestamp < end).sum() < len(everything.events)
    assert len(known.users) == len(everything.users)


@pytest.mark.parametrize(("day", "problem"), [("31.12.2000", "not a date"), ("1900-01-01", "nothing had")])
def test_a_day_that_cannot_be_is_told(folder, day, problem, ready):
    with pytest.raises(DataError, match=problem):
        ready(folder, day=day)
