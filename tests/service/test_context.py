"""What the page knows when it asks: learned from, told by a request, and the same all the way."""

from dataclasses import replace

import numpy as np
import pytest
from app import Service, app_of
from settings import Settings
from starlette.testclient import TestClient

from recsys.cli import main
from recsys.data.dataset import Dataset
from recsys.data.prepare import prepare
from recsys.data.spec import FILE_NAME
from recsys.drafting import draft
from recsys.evaluate import Judge
from recsys.evaluate.releases import measured, measured_on
from recsys.serving import Ask, ContextError, Live
from recsys.serving.replay import record, replay
from recsys.store import open_store
from recsys.synthetic import World
from recsys.synthetic.files import write

PHONE, DESKTOP = {"device": "phone"}, {"device": "desktop", "region": "region 3"}


@pytest.fixture(scope="module")
def news(tmp_path_factory) -> Dataset:
    """Articles shown on phones and desktops, in several regions."""
    folder = tmp_path_factory.mktemp("news") / "news"
    write(World.of(100, 60, n_topics=6, days=40, seed=4), 20_000, folder, as_parquet=False)
    (folder / FILE_NAME).write_text(draft(folder))
    return prepare(folder, folder / "raw", seed=0)


@pytest.fixture(scope="module")
def ours(news, trained):
    return trained(news)


@pytest.fixture(scope="module")
def live(ours):
    return Live("0" * 12, ours)


def asked(live, *contexts, user="u3"):
    asks = [Ask(user, 10, context=tuple(told.items())) for told in contexts]
    return [
        [(item["item_id"], item["score"]) for item in answer.items]
        for answer in live.recommend_all(asks, [() for _ in asks])
    ]


def test_a_request_of_a_fold_tells_what_its_user_did_next(news):
    fold = news.fold("global_time", "test")
    requests = fold.requests()
    for row in (0, len(requests) - 1):
        first = np.flatnonzero(fold.future.user_idx == fold.users[row])[0]
        assert requests.context["device"][row] == fold.future.context["device"][first]
    assert requests[1:].context["device"].tolist() == requests.context["device"][1:].tolist()


def test_saving_and_loading_keeps_it(news, tmp_path):
    news.save(tmp_path / "data")
    loaded = Dataset.load(tmp_path / "data").events.context
    for name in ("device", "region"):
        assert loaded[name].tolist() == news.events.context[name].tolist()


def test_what_is_not_told_stays_untold(news, tmp_path):
    told = news.events.context["region"].copy()
    told[::3] = None
    events = replace(news.events, context={**news.events.context, "region": told})
    replace(news, events=events).save(tmp_path / "once")
    loaded = Dataset.load(tmp_path / "once")
    assert loaded.events.context["region"].tolist() == told.tolist()
    loaded.save(tmp_path / "twice")
    assert Dataset.load(tmp_path / "twice").events.context["region"].tolist() == told.tolist()


def test_it_moves_scores_and_what_is_not_told_is_unknown(live):
    nothing, phone, desktop, half = asked(live, {}, PHONE, DESKTOP, {"device": "desktop"})
    assert len({tuple(each) for each in (nothing, phone, desktop)}) == 3
    assert asked(live, {"device": "never heard of"}) == [nothing]
    assert half != desktop


def test_a_batch_equals_one_by_one(live):
    told = [{}, PHONE, DESKTOP, {"region": "region 1"}]
    assert asked(live, *told) == [each for one in told for each in asked(live, one)]


def test_a_logged_request_is_answered_again_the_same(live):
    ask = Ask("u5", 5, context=tuple(sorted(DESKTOP.items())))
    line = record(0.0, live.id, ask, b"", live.recommend(ask, (), traced=True))
    assert replay(line, lambda _: live) is None


@pytest.mark.parametrize("told", [{"colour": "red"}, {"timestamp": "1"}, {"history_length": "1"}])
def test_what_no_request_tells_is_refused(ours, told):
    with pytest.raises(ContextError, match=r"there is no context '\w+', only device, region"):
        ours.check_context(told)


def test_the_command_line_takes_it(ours, built, tmp_path, capsys):
    releases = tmp_path / "releases"
    made = built(ours, releases)
    told = ["recommend", "--user", "u3", "--release", made.id, "--releases", str(releases)]
    assert main([*told, "--json", "--context", "device=phone"]) == 0
    phone = capsys.readouterr().out
    assert main([*told, "--json"]) == 0
    assert capsys.readouterr().out != phone
    assert main([*told, "--context", "phone"]) == 2
    assert "--context phone is not NAME=VALUE" in capsys.readouterr().err
    assert main([*told, "--context", "colour=red"]) == 2
    assert "there is no context 'colour', only device, region" in capsys.readouterr().err


def test_a_release_of_before_is_measured_with_what_pages_knew(ours, news, built, tmp_path):
    judge, release = Judge.of(news, "global_time", "test"), built(ours, tmp_path)
    told = measured_on(release, news, "global_time", "data").metrics
    here = ours.recommend(judge.fold.requests(judge.rows), 20).items
    assert told == measured(release.id, here, judge, "data").metrics


@pytest.fixture
def client(ours, built, tmp_path):
    made = built(ours, tmp_path / "releases")
    settings = Settings(tmp_path / "releases", str(tmp_path / "store"))
    service = Service(settings, Live(made.id, ours), open_store(settings.store))
    yield TestClient(app_of(service))
    service.close()


def test_the_service_takes_it(client, ours):
    def scores(**context):
        answer = client.post(
            "/recommend", json={"user_id": "u3", "k": 5, "context": {"now": ours.now, **context}}
        )
        assert answer.status_code == 200, answer.text
        return [item["score"] for item in answer.json()["items"]]

    phone, nothing = scores(columns=PHONE), scores()
    assert phone != nothing
    assert [scores(columns=PHONE), scores()] == [phone, nothing]  # from the cache
    assert scores(columns={"device": True}) == nothing  # a word that nobody has


def test_so_do_several_at_once_and_somebody_new(client, ours):
    def scores(path, answers, **asked):
        told = client.post(path, json={"k": 5, **asked})
        assert told.status_code == 200, told.text
        return [item["score"] for each in answers(told.json()) for item in each["items"]]

    for path, answers, asked in (
        ("/batch", lambda told: told["lists"], {"user_ids": ["u3", "u5"]}),
        ("/interests", lambda told: [told], {"items": [str(ours.catalogue.items.ids[0])]}),
    ):
        phone = scores(path, answers, **asked, context={"now": ours.now, "columns": PHONE})
        assert phone != scores(path, answers, **asked, context={"now": ours.now})


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/recommend", {"user_id": "u3"}),
        ("/batch", {"user_ids": ["u3"]}),
        ("/interests", {"categories": ["topic 1"]}),
    ],
)
def test_a_context_that_nobody_knows_is_refused(client, path, asked):
    refused = client.post(path, json={**asked, "context": {"columns": {"colour": "red"}}})
    assert refused.status_code == 422
    assert "there is no context 'colour', only device, region" in refused.json()["error"]
