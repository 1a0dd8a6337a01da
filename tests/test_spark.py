"""`engine: spark` makes the tables that this process makes."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys import spark
from recsys.data import source
from recsys.data.dataset import Dataset
from recsys.data.prepare import prepare
from recsys.data.report import DataError
from recsys.features.statistics import Statistics
from recsys.recall import cooccurrence_on_spark
from recsys.recall.graph import GraphRecall
from recsys.recall.item_cf import ItemCfRecall
from recsys.recall.swing import SwingRecall
from recsys.recall.user_cf import UserCfRecall
from recsys.recall.walks import ItemGraph
from recsys.types import Interactions

pytestmark = pytest.mark.xdist_group("spark")
CHANNELS = [
    ItemCfRecall(k_similar=40),
    ItemCfRecall(k_similar=40, step_decay=0, backward=1),  # order says nothing: another kernel
    ItemCfRecall(k_similar=40, time_decay=0.1),
    SwingRecall(k_similar=40, max_users=20),
    UserCfRecall(k_similar=20, max_item_users=30),
]
NAMES = ["item_cf by distance", "item_cf", "item_cf by time", "swing", "user_cf"]


@pytest.fixture(scope="module", autouse=True)
def two_cores(program):
    """One session, on two cores of this machine."""
    program("java", "openjdk-17-jre-headless")
    before = os.environ.get(spark.MASTER)
    os.environ[spark.MASTER] = "local[2]"
    yield
    spark.session().stop()
    if before is None:
        del os.environ[spark.MASTER]


@pytest.fixture(scope="module")
def drawn() -> Interactions:
    """Repeated pairs, ties, items and users whom nobody meets."""
    random, n = np.random.default_rng(5), 4000
    return Interactions(
        user_idx=random.integers(0, 190, n).astype(np.int32),
        item_idx=(150 * random.random(n) ** 2).astype(np.int32),
        timestamp=np.sort(random.integers(1_000, 60 * 86_400, n)),
        value=random.integers(1, 6, n).astype(np.float32),
        labels={"liked": (random.random(n) < 0.3).astype(np.float32), "liters": random.random(n) * 9},
        n_users=200,
        n_items=160,
    )


@pytest.fixture(scope="module")
def movielens(tmp_path_factory) -> Interactions:
    """All of MovieLens-1M that comes before the test weeks."""
    raw = tmp_path_factory.mktemp("movielens")
    return prepare("movielens-1m", raw, seed=42).fold("global_time", "test").past


def tables(channel, train: Interactions, engine: str, folder: Path) -> dict[str, np.ndarray]:
    channel.engine = engine
    channel.fit(train).save(folder)
    (kept,) = folder.glob("*.npz")
    with np.load(kept) as arrays:
        return dict(arrays)


def assert_same(channel, train: Interactions, tmp_path: Path) -> None:
    here, there = (tables(channel, train, engine, tmp_path / engine) for engine in ("local", "spark"))
    assert here.keys() == there.keys()
    for name in here:
        assert np.array_equal(here[name], there[name]), name
    params = [(tmp_path / engine / "params.json").read_bytes() for engine in ("local", "spark")]
    assert params[0] == params[1]


@pytest.mark.parametrize("channel", CHANNELS, ids=NAMES)
def test_tables_of_channels_are_the_same_bits(channel, drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(cooccurrence_on_spark, "PAIRS", 20_000)  # many blocks
    assert_same(channel, drawn, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "channel", [ItemCfRecall(), SwingRecall(), UserCfRecall()], ids=lambda each: each.name
)
def test_on_movielens_too(channel, movielens, tmp_path):
    assert_same(channel, movielens, tmp_path)


def test_walks_are_the_same(drawn):
    here, there = (ItemGraph.of(drawn, engine) for engine in ("local", "spark"))
    for name in ("offsets", "neighbours", "weights"):
        assert np.array_equal(getattr(here, name), getattr(there, name)), name
    paths = [here.walks(3, 12, 0.5, 2.0, 7, engine) for engine in ("local", "spark")]
    assert np.array_equal(*paths)


def test_a_graph_that_spark_walked_is_saved_as_any(drawn, tmp_path):
    for engine in ("local", "spark"):
        made = GraphRecall(embedding_dim=4, walks_per_item=1, walk_length=5, engine=engine)
        made.fit(drawn).save(tmp_path / engine)
    names = sorted(path.name for path in (tmp_path / "local").iterdir())
    assert all(
        (tmp_path / "local" / name).read_bytes() == (tmp_path / "spark" / name).read_bytes() for name in names
    )


@pytest.mark.parametrize("by", ["item", "user"])
def test_statistics_are_the_same(drawn, by):
    price = np.where(drawn.value > 3, np.nan, drawn.value)  # is not always told
    seen = replace(drawn, observed={"price": price})
    here, there = (Statistics.fit(seen, by, engine=engine) for engine in ("local", "spark"))
    assert np.array_equal(here.places, there.places)
    assert there.value_sums == pytest.approx(here.value_sums, abs=1e-6)
    assert here.label_sums.keys() == there.label_sums.keys() == {"liked"}
    assert there.label_sums["liked"] == pytest.approx(here.label_sums["liked"], abs=1e-6)
    assert here.observed_sums.keys() == there.observed_sums.keys() == ({"price"} if by == "item" else set())
    for name, sums in here.observed_sums.items():
        assert there.observed_sums[name] == pytest.approx(sums, abs=1e-6)
        assert np.array_equal(there.observed_counts[name], here.observed_counts[name])


CLICKS = """
name: clicks
about: clicks
licence: none
bad_rows_limit: 0.1
interactions:
  file: clicks-*.FORMAT
  format: FORMAT
  columns:
    user_id: who
    item_id: {column: what, strip_prefix: i}
    timestamp: {column: at, unit: s}
    feedback: {read: read}
    context: {device: device, width: {column: width, type: number}}
  impressions:
    file: shelves.csv
    item_id: {column: what, strip_prefix: i}
    at: [device, width]
    where: {shown: ["1"]}
tasks: {finished: {kind: binary, rule: read >= 1}}
"""


def clicks(folder: Path, kind: str) -> Path:
    """Three files of clicks, in which single cells are wrong."""
    random, n = np.random.default_rng(3), 400
    table = pd.DataFrame(
        {
            "who": [f"u{number}" for number in random.integers(0, 40, n)],
            "what": [f"i{number}" for number in random.integers(0, 30, n)],
            "at": np.sort(random.integers(1_000_000_000, 1_001_000_000, n)).astype(str),
            "read": random.integers(0, 2, n).astype(str),
            "device": random.choice(["phone", "desk", ""], n),
            "width": random.choice(["320", "1024", "wide"], n, p=[0.5, 0.49, 0.01]),
        }
    )
    table.loc[[5, 250], "at"] = "yesterday"
    table.loc[[7, 399], "who"] = ""
    table.loc[300, "read"] = "much"
    table.loc[n] = table.loc[0]
    folder.mkdir()
    for number, rows in enumerate(np.array_split(np.arange(n + 1), 3)):
        if kind == "csv":
            table.iloc[rows].to_csv(folder / f"clicks-{number}.csv", index=False)
        else:
            table.iloc[rows].to_json(folder / f"clicks-{number}.jsonl", orient="records", lines=True)
    shelves = {"what": ["i3", "i4", "i3", "i5"], "device": ["phone", "phone", "desk", "desk"]}
    told = pd.DataFrame({**shelves, "width": [320, 320, 1024, 1024], "shown": [1, 1, 1, 0]})
    told.to_csv(folder / "shelves.csv", index=False)
    (folder / "dataset.yaml").write_text(CLICKS.replace("FORMAT", kind))
    return folder


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_data_are_read_the_same_and_the_same_is_told_of_them(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "ROWS", 50)  # several parts a file
    folder = clicks(tmp_path / "clicks", kind)
    for engine in ("local", "spark"):
        prepare(folder, tmp_path / "raw", seed=4, engine=engine).save(tmp_path / engine)
    names = sorted(path.name for path in (tmp_path / "local").iterdir())
    assert "report.json" in names
    assert not (Dataset.load(tmp_path / "local").positive).all()
    for name in names:
        assert (tmp_path / "local" / name).read_bytes() == (tmp_path / "spark" / name).read_bytes(), name


def test_a_file_that_cannot_be_read_is_told_in_the_same_words(tmp_path):
    folder = clicks(tmp_path / "clicks", "jsonl")
    with (folder / "clicks-1.jsonl").open("a") as file:
        file.write("{no json\n")
    told = []
    for engine in ("local", "spark"):
        with pytest.raises(DataError) as error:
            prepare(folder, tmp_path / "raw", seed=4, engine=engine)
        told.append(str(error.value))
    assert told[0] == told[1]
    assert told[0].startswith("clicks-1.jsonl: row 135: is not JSON")


def test_another_engine_is_refused(drawn):
    with pytest.raises(ValueError, match="there is no engine 'flink', only local, spark"):
        ItemCfRecall(engine="flink").fit(drawn)


def test_without_java_it_is_told_what_to_install(monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(spark.shutil, "which", lambda _: None)
    with pytest.raises(spark.EngineError, match="needs Java 17: apt-get install openjdk-17-jre-headless"):
        spark.session()
