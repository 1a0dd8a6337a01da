"""A release that the gate refuses does not answer, and what answers is not touched where it need not be."""

import shutil

from recsys.cli.training import _let_answer
from recsys.release import list_releases, live_id, load, pointer


def test_what_answered_answers_on_where_another_took_its_place(recommender, built, tmp_path):
    folder = tmp_path / "releases"
    live, refused = (built(recommender, folder, number=number) for number in (1, 2))
    kept = shutil.copytree(live.folder, tmp_path / "kept" / live.id)
    shutil.rmtree(live.folder)
    _let_answer(load(kept), folder)
    assert live_id(folder) == live.id
    assert {each.id for each in list_releases(folder)} == {live.id, refused.id}


def test_what_still_answers_is_left_alone(recommender, built, tmp_path):
    folder = tmp_path / "releases"
    live = built(recommender, folder, number=1)
    _let_answer(live, folder)
    assert pointer(folder) is None
