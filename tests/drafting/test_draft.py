"""A first dataset.yaml for files of many shapes: what it says is what they hold, and it can be used."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import assume, given, reject
from hypothesis import strategies as st

from recsys.cli import main
from recsys.data import prepare
from recsys.data.spec import FILE_NAME, DatasetSpec
from recsys.drafting import draft
from recsys.drafting.column import words
from recsys.drafting.draft import ITEMS, USERS
from recsys.parameters import overridden

N = 400


@pytest.fixture
def drafted(tmp_path):
    """Write ``tables`` (name -> frame) as files, draft their data set, check and read it."""

    def made(tables, **options):
        for name, frame in tables.items():
            if name.endswith(".parquet"):
                frame.to_parquet(tmp_path / name)
            else:
                frame.to_csv(tmp_path / name, index=False, **options)
        (tmp_path / FILE_NAME).write_text(draft(tmp_path))
        prepare.check(tmp_path)
        return DatasetSpec.read(tmp_path / FILE_NAME)

    return made


@pytest.fixture
def events():
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "user_id": random.integers(1, 50, N),
            "item_id": [f"a{n}" for n in random.integers(1, 30, N)],
            "timestamp": 1_600_000_000 + np.arange(N) * 3600,
        }
    )


def test_the_tiny_data_set_is_drafted_as_it_was_written_by_hand(request, tmp_path):
    tiny = request.config.rootpath / "tests/data/tiny"
    for path in tiny.glob("*.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / FILE_NAME).write_text(draft(tmp_path))
    made, by_hand = (DatasetSpec.read(folder / FILE_NAME) for folder in (tmp_path, tiny))
    assert made.interactions == by_hand.interactions
    assert (made.tasks["liked"], made.seen_items_return) == (by_hand.tasks["liked"], False)
    assert (made.items.file, made.items.title, made.items.category) == ("items.csv", "title", "genres")
    assert made.items.attributes["genres"].separator == "|"
    assert made.items.attributes["year"].kind == "number"
    assert made.users.attributes["gender"].kind == "category"
    assert not prepare.check(tmp_path).findings


def test_names_in_camel_case_milliseconds_and_clicks_are_known(drafted, events):
    shown = events.rename(columns={"user_id": "userId", "item_id": "articleId", "timestamp": "eventTime"})
    shown["eventTime"] *= 1000
    shown["click"] = np.arange(N) % 3 == 0
    shown["click"] = shown["click"].astype(int)
    spec = drafted({"log.parquet": shown})
    columns = spec.interactions.columns
    assert (columns.user_id.column, columns.item_id.column) == ("userId", "articleId")
    assert (columns.timestamp.column, columns.timestamp.unit) == ("eventTime", "ms")
    assert spec.interactions.positive == "click == 1"
    assert list(spec.tasks) == ["click"]
    assert (spec.users, spec.items) == (None, None)


def test_iso_dates_semicolons_and_old_encodings_are_known(tmp_path, drafted, events):
    events["timestamp"] = pd.to_datetime(events["timestamp"], unit="s").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    products = pd.DataFrame({"item_id": [f"a{n}" for n in range(1, 30)], "name": "Café"})
    products["listed"] = "2019-05-17"
    spec = drafted({"buys.csv": events, "products.csv": products}, sep=";", encoding="cp1252")
    assert spec.interactions.columns.timestamp.unit == "iso"
    assert (spec.items.separator, spec.items.encoding, spec.items.title) == (";", "cp1252", "name")
    assert spec.items.attributes["listed"].kind == "number"
    assert "its year alone?" in (tmp_path / FILE_NAME).read_text()


def test_who_meets_items_again_is_told_and_names_that_two_tables_share_are_told_apart(drafted, events):
    events = events.assign(item_id=events["user_id"] % 3)
    users = pd.DataFrame({"id": np.arange(1, 50), "type": np.arange(49) % 4})
    items = pd.DataFrame({"id": np.arange(3), "type": ["a", "a", "b"]})
    spec = drafted({"orders.csv": events, "users.csv": users, "items.csv": items})
    assert spec.seen_items_return
    assert (list(spec.users.attributes), list(spec.items.attributes)) == (["type"], ["item_type"])
    assert spec.items.category == "item_type"


def test_how_many_were_bought_is_no_liking_and_labels_go_before_a_brand(drafted, events):
    orders = events.assign(quantity=np.arange(N) % 4 + 1)
    labels = ["red|new", "red|sale", "new|sale", "sale|old"]
    products = pd.DataFrame({"item_id": [f"a{n}" for n in range(1, 31)], "brand": ["ab", "cd", "ef"] * 10})
    products["labels"] = [labels[n % 4] for n in range(30)]
    spec = drafted({"orders.csv": orders, "products.csv": products})
    assert (spec.interactions.columns.value, list(spec.tasks)) == ("quantity", ["met"])
    assert spec.items.category == "labels"


def test_columns_that_would_be_called_alike_are_told_apart(drafted, events):
    stars = {"rating": np.arange(N) % 5 + 1, "value": np.arange(N) % 90, "liked": np.arange(N) % 2}
    spec = drafted({"orders.csv": events.assign(**stars, **{"a-b": 1.5, "a_b": 2.5})})
    assert spec.interactions.columns.value == "rating"
    assert spec.interactions.columns.feedback == {
        "value_2": "value",
        "liked": "liked",
        "a_b": "a-b",
        "a_b_2": "a_b",
    }
    assert spec.tasks["liked"].rule == "liked == 1"


def test_days_in_files_of_their_own_are_one_table(drafted, events):
    days = {f"log-2020-01-{number:02d}.csv": events[number::3] for number in range(3)}
    spec = drafted({**days, "users.csv": pd.DataFrame({"user_id": np.arange(1, 50), "age": 30})})
    assert spec.interactions.file == "log-*.csv"
    assert spec.users.file == "users.csv"


def test_a_folder_of_parts_is_one_table(tmp_path, drafted, events):
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "_SUCCESS").touch()
    parts = {f"events/part-{name}.parquet": events[number::2] for number, name in enumerate(["ab1", "9cd"])}
    assert drafted(parts).interactions.file == "events/*.parquet"


def test_names_that_differ_by_a_number_but_not_their_columns_are_two_tables(drafted, events):
    users = pd.DataFrame({"user_id": np.arange(1, 50), "age": np.arange(49)})
    spec = drafted({"table1.csv": events, "table2.csv": users})
    assert (spec.interactions.file, spec.users.file) == ("table1.csv", "table2.csv")


def test_compressed_json_lines_with_lists_and_flags_are_known(tmp_path, drafted, events):
    events["clicked"] = np.arange(N) % 2 == 0
    items = pd.DataFrame({"item_id": [f"a{n}" for n in range(1, 30)]})
    items["topics"] = [["sport", "news"] if n % 2 else [] for n in range(29)]
    for name, frame in {"log": events, "items": items}.items():
        frame.to_json(tmp_path / f"{name}.jsonl.gz", orient="records", lines=True)
    spec = drafted({})
    assert (spec.interactions.file, spec.interactions.format) == ("log.jsonl.gz", "jsonl")
    assert spec.interactions.positive == "clicked == 1"
    assert spec.items.attributes["topics"].kind == "labels"


def test_what_is_known_only_afterwards_is_no_context_and_no_attribute(drafted, events):
    events["page_views"], events["time_on_page"], events["device"] = 3, np.arange(N) % 7, "phone"
    events["price"] = np.arange(N) % 5 + 0.5
    items = pd.DataFrame(
        {"item_id": [f"a{n}" for n in range(1, 30)], "price": np.arange(29), "kind": ["a"] * 29}
    )
    spec = drafted({"orders.csv": events, "items.csv": items})
    assert list(spec.interactions.columns.context) == ["device"]
    assert {"page_views", "time_on_page", "price"} <= spec.interactions.columns.feedback.keys()
    assert list(spec.items.attributes) == ["kind"]


def test_what_may_have_been_on_show_is_asked_in_lines_that_can_be_taken_as_they_are(
    tmp_path, drafted, events
):
    met = events.assign(store=events.index % 2, date=events.index % 3)
    shown = pd.DataFrame({"item_id": met.item_id.iloc[[0, 0, 1]], "date": [0, 0, 1], "store": [0, 1, 1]})
    assert drafted({"events.csv": met, "displays.csv": shown}).interactions.impressions is None
    path = tmp_path / FILE_NAME
    path.write_text(
        re.sub(r"^  # (impressions:|  (file: displays|item_id|at).*)$", r"  \1", path.read_text(), flags=re.M)
    )
    taken = DatasetSpec.read(path).interactions.impressions
    assert (taken.file, taken.item_id.column, taken.at) == ("displays.csv", "item_id", ("store", "date"))
    assert "impressions: what displays.csv shows" in list(prepare.check(tmp_path).lines())[-1]


def test_json_that_is_no_table_is_not_used(tmp_path, drafted, events):
    (tmp_path / "metadata.json").write_text('{\n  "made": "today"\n}\n')
    drafted({"log.csv": events})
    assert "# Not used: metadata.json" in (tmp_path / FILE_NAME).read_text()


def test_without_moments_the_draft_asks_for_them_and_the_check_tells_what_is_lost(tmp_path, events):
    events.drop(columns="timestamp").to_csv(tmp_path / "log.csv", index=False)
    text = draft(tmp_path)
    assert "No column of moments was found" in text
    (tmp_path / FILE_NAME).write_text(text)
    (told,) = prepare.check(tmp_path).notes
    assert told.startswith("there are no timestamps")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "has no file that can be read"),
        ({"events.xlsx": "PK"}, "it has events.xlsx"),
        ({"log.csv": "when,what\n1,2\n"}, r"no file has a column of users .*log\.csv: when, what"),
        ({"log.parquet": "not parquet"}, r"log\.parquet: cannot be read"),
        ({"log.csv": ""}, r"log\.csv: cannot be read"),
    ],
)
def test_a_folder_that_cannot_be_drafted_is_told_in_one_line_and_left_alone(tmp_path, capsys, files, told):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert main(["data", "init", str(tmp_path)]) == 2
    assert re.fullmatch(rf"recsys: .*{told}.*\n", capsys.readouterr().err)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)


def test_a_draft_does_not_replace_what_is_there_unless_it_is_told_to(tmp_path, events):
    events.to_csv(tmp_path / "log.csv", index=False)
    (tmp_path / FILE_NAME).write_text("mine")
    assert main(["data", "init", str(tmp_path)]) == 2
    assert (tmp_path / FILE_NAME).read_text() == "mine"
    assert main(["data", "init", "--force", str(tmp_path)]) == 0
    assert DatasetSpec.read(tmp_path / FILE_NAME).interactions.file == "log.csv"
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE_NAME, "log.csv"]


@given(names=st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True), text=st.text())
def test_whatever_columns_are_called_the_draft_is_yaml(names, text):
    roles = {*USERS, *ITEMS, "timestamp"}
    assume(not any(roles.intersection(words(name)) for name in names))
    made = {"user_id": ["a", "b"], "item_id": ["x", "x"], "timestamp": [1_600_000_000, 1_600_000_001]}
    items = pd.DataFrame({"item_id": list("wxyz"), **{name: ["one", "two"] * 2 for name in names}})
    with TemporaryDirectory() as folder:
        try:
            pd.DataFrame(made | dict.fromkeys(names, text)).to_parquet(Path(folder) / "log.parquet")
            items.to_parquet(Path(folder) / "items.parquet")
        except UnicodeEncodeError:  # no such text can stand in a file
            reject()
        told = yaml.safe_load(draft(Path(folder)))
    assert told["interactions"]["columns"]["user_id"] == "user_id"
    assert told["interactions"]["columns"]["timestamp"] == {"column": "timestamp", "unit": "s"}
    attributes = told["items"].get("attributes", {})
    assert {each.get("column", name) for name, each in attributes.items()} <= set(names)


@pytest.fixture
def repository(tmp_path_factory, monkeypatch):
    """A folder that looks like the root of the repository."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "dvc.yaml").touch()
    monkeypatch.chdir(folder)
    return folder


def initialized(repository, frame, request):
    """The preset that `recsys data init` writes beside ``dataset.yaml``, over the default parameters."""
    (repository / "mine").mkdir()
    frame.to_csv(repository / "mine" / "log.csv", index=False)
    assert main(["data", "init", "mine"]) == 0
    params = yaml.safe_load((request.config.rootpath / "params.yaml").read_text())
    return overridden(params, yaml.safe_load((repository / "params.mine.yaml").read_text()))


def test_a_preset_is_drafted_at_the_root_of_the_repository(repository, events, request):
    events["clicked"] = np.arange(N) % 3 == 0
    params = initialized(repository, events, request)
    assert params["data"]["dataset"] == "mine"
    assert params["mmoe"]["ranker"]["formula"] == {"clicked": 1.0}
    assert params["cf"]["segment"] is None
    assert set(params["data"]["splits"]) == {"global_time", "leave_last_out"}
    before = (repository / "params.mine.yaml").read_text()
    (repository / "mine" / FILE_NAME).unlink()
    assert main(["data", "init", "mine"]) == 2
    assert (repository / "params.mine.yaml").read_text() == before
    assert not (repository / "mine" / FILE_NAME).exists()


def test_a_preset_of_any_folder_is_yaml(repository, events, request):
    (repository / "2024").mkdir()
    events.to_csv(repository / "2024" / "log.csv", index=False)
    assert main(["data", "init", "2024"]) == 0
    assert yaml.safe_load((repository / "params.2024.yaml").read_text())["data"]["dataset"] == "2024"


def test_the_preset_asks_again_where_items_return(repository, events, request):
    params = initialized(repository, events.assign(item_id=events["user_id"] % 3), request)
    assert "again" in params["merging"]["channels"]


def test_the_preset_cuts_no_moments_where_there_are_none(repository, events, request):
    params = initialized(repository, events.drop(columns="timestamp"), request)
    assert list(params["data"]["splits"]) == ["leave_last_out"]
    assert params["release"]["split"] == "leave_last_out"
