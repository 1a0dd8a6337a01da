"""What all tests may use: the tiny data set, prepared once, and a small recommender trained on it."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from recsys import release
from recsys.business_rules import Rules
from recsys.catalogue import Catalogue
from recsys.data.dataset import Dataset
from recsys.data.prepare import prepare
from recsys.features.attributes import Attributes
from recsys.features.candidates import CandidateFeatures
from recsys.lists import LISTS, Lists
from recsys.pipeline import Merging, Recommender, Reranking
from recsys.rank.inputs import Examples
from recsys.rank.ranker import Ranker
from recsys.recall import channel
from recsys.types import Interactions, Recall

sys.path.insert(0, str(Path(__file__).parents[1] / "deploy"))

from processes import S3, Redis

# How long an example takes says nothing of the code where machines are shared.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")

TINY = Path(__file__).parent / "data" / "tiny"
CHANNELS: dict[str, dict[str, Any]] = {
    "popular": {"days": 90},
    "item_cf": {},
    "user_cf": {},
    "mf": {"factors": 8, "iterations": 3},
    "two_tower": {"embedding_dim": 8, "epochs": 1, "batch_size": 128, "uniform_negatives": 32},
    "cluster": {"n_clusters": 4, "n_probe": 2},
}
MERGING = Merging(k=40, depth=40)
RERANKING = Reranking(pool=20, relevance_weight=0.9, window=4, limit=2, fresh_share=0.1)


def make_channels(past: Interactions, attributes: Attributes) -> dict[str, Recall]:
    """All channels, small, fitted on ``past``."""
    channels: dict[str, Recall] = {}
    for name, params in CHANNELS.items():
        if name == "two_tower":
            params = params | {"attributes": attributes, "threads": 1}
        if name == "cluster":
            params = params | {"item_vectors": channels["two_tower"].item_vectors}
        channels[name] = channel(name)(**params).fit(past)
    return channels


def make_recommender(dataset: Dataset, split: str = "global_time") -> Recommender:
    """Ranker of the fold "late"; all else knows the past of the fold "test"."""
    late, test = dataset.fold(split, "late"), dataset.fold(split, "test")
    attributes = Attributes.of(dataset)

    def features(past: Interactions) -> CandidateFeatures:
        return CandidateFeatures.fit(past, dataset.items, dataset.spec.category, (7, 30))

    requests = late.requests()
    found = {name: each.recall(requests, 40) for name, each in make_channels(late.past, attributes).items()}
    merged = MERGING(found)
    examples = Examples.of(
        features(late.past),
        late,
        slice(None),
        merged,
        tuple(dataset.spec.tasks),
    )
    ranker = Ranker(
        tasks=tuple(dataset.spec.tasks),
        formula={task: 0.5**place for place, task in enumerate(dataset.spec.tasks)},
        embedding_dim=8,
        n_experts=2,
        widths=(16, 8),
        epochs=1,
        threads=1,
    )
    return Recommender(
        catalogue=Catalogue.of(dataset),
        past=test.past,
        channels=make_channels(test.past, attributes),
        merging=MERGING,
        features=features(test.past),
        ranker=ranker.fit([examples], attributes),
        reranking=RERANKING,
        rules=Rules(),
    )


@pytest.fixture(scope="session")
def program() -> Callable[..., str]:
    """Path of a program of the machine; in CI it must be there, elsewhere a test that needs it is skipped."""

    def found(name: str, package: str | None = None) -> str:
        path = shutil.which(name)
        if path is None:
            told = f"{name} is missing: apt-get install {package or name}"
            if os.environ.get("CI"):
                pytest.fail(told)
            pytest.skip(told)
        return path

    return found


@pytest.fixture(scope="session")
def redis_server(
    program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Redis]]:
    """Start a Redis; all that were started end with the tests."""
    program("redis-server")
    started: list[Redis] = []

    def start() -> Redis:
        started.append(Redis(tmp_path_factory.mktemp("redis")))
        started[-1].start()
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 server with a bucket."""
    server = S3(tmp_path_factory.mktemp("s3"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The same, with the right credentials in the environment."""
    for name, value in s3_server.credentials().items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The tiny data set with both splits."""
    return prepare(TINY, tmp_path_factory.mktemp("raw"), seed=0)


@pytest.fixture(scope="session")
def recommender(dataset: Dataset) -> Recommender:
    """A small recommender of all channels, trained on the tiny data set up to its test part."""
    return make_recommender(dataset)


@pytest.fixture(scope="session")
def trained() -> Callable[[Dataset], Recommender]:
    """`make_recommender`, for tests that train on another data set."""
    return make_recommender


def build(recommender: Recommender, into: Path, **params) -> release.Release:
    """A release of ``recommender``; other ``params`` give another id."""
    folder = into / "unpublished"
    recommender.save(folder / "recommender")
    Lists.of(recommender).save(folder / "recommender" / LISTS)
    return release.build(
        {"recommender": folder / "recommender"},
        into,
        params=params,
        metrics={"ndcg_at_10": 0.2},
        data_hash="data",
        fingerprint=recommender.ranker.inputs_.spec.fingerprint,
        newest_event=recommender.now - 1,
        revision="revision",
    )


@pytest.fixture(scope="session")
def built():
    """`build`, for tests that want releases of their own."""
    return build
