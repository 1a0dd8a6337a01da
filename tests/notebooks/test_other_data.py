"""The default road on other data: no table of users, context, clicks of what was shown, items again."""

import nbformat
import pytest
import yaml

from recsys.artifacts import read_json
from recsys.cli import main
from recsys.data.spec import FILE_NAME
from recsys.parameters import overridden
from recsys.pipeline import Recommender
from recsys.release import list_releases, verify
from recsys.serving import Ask, Live

SPLIT = "global_time"
CHANNELS = ("popular", "item_cf", "user_cf", "swing", "mf", "two_tower", "cluster")
STAGES = ("cf", "mf", "two_tower", "clustering", "merging", "mmoe", "reranking", "evaluation")
pytestmark = pytest.mark.xdist_group("other_data")


@pytest.fixture(scope="module")
def repository(tmp_path_factory, small_params, execute):
    folder = tmp_path_factory.mktemp("news")
    (folder / "dvc.yaml").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        small = ["--users", "120", "--articles", "80", "--shown", "30000"]
        assert main(["data", "example", "news", *small]) == 0
        assert main(["data", "init", "news"]) == 0
    spec = folder / "news" / FILE_NAME
    spec.write_text(spec.read_text().replace("seen_items_return: false", "seen_items_return: true"))
    params = overridden(small_params, yaml.safe_load((folder / "params.news.yaml").read_text()))
    params["cf"] |= {"attribute": None, "user_cf": {"k_similar": 20}}
    params["merging"]["channels"] = ["again", *CHANNELS]
    params["mmoe"]["negatives"] = "impressions"
    params["release"]["split"] = SPLIT
    return execute(folder, params, STAGES, SPLIT)


def test_no_notebook_warns(repository):
    told = [
        (path.name, output.text)
        for path in sorted((repository / "reports/notebooks").rglob("*.ipynb"))
        for cell in nbformat.read(path, as_version=4).cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stderr"
    ]
    assert told == []


def test_what_people_had_is_recalled_and_told(repository):
    assert read_json(repository / "reports" / SPLIT / "cf.json")["again"]["recall_at_100"] > 0
    (release,) = list_releases(repository / "artifacts/releases")
    ours = Recommender.load(verify(release.folder).folder / "recommender")
    shown = ours.recommend(ours.requests(range(120)), 20)
    met = [set(ours.past.item_idx[ours.past.user_idx == user].tolist()) for user in range(120)]
    assert sum(len(set(items) & own) for items, own in zip(shown.items.tolist(), met, strict=True)) > 100
    ours.check_context({"device": "phone", "region": "region 1"})


def test_somebody_new_has_had_nothing_though_items_return(repository):
    (release,) = list_releases(repository / "artifacts/releases")
    live = Live.load(release.folder)
    name = next(iter(live.categories))
    shown = live.interests(Ask("", 20, explain=True), (), (name,), live.now()).items
    reasons = {item["item_id"]: item["reason"] for item in shown}
    assert set(live.categories[name]) & set(reasons)
    told = [reasons[item] for item in live.categories[name] if item in reasons]
    assert told == [f"because you like {name}"] * len(told)
    assert not any("had it before" in reason for reason in reasons.values())


def test_the_ranker_predicts_clicks(repository):
    assert list(read_json(repository / "reports" / SPLIT / "mmoe.json")["tasks"]) == ["clicked"]
