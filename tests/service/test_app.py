import json
import shutil

import pytest
from bodies import LONGEST_ID, MOST_EVENTS, MOST_IDS, MOST_ITEMS

from recsys.cli import main
from recsys.release import pointer
from recsys.store import StoreError

TOKEN = {"authorization": "Bearer a token for tests"}


def test_a_user_gets_an_ordered_list_and_is_told_its_release(running, lives):
    answer = running.post("/recommend", {"user_id": "u3", "k": 5}).json()
    assert [item["rank"] for item in answer["items"]] == [1, 2, 3, 4, 5]
    assert (answer["release"], answer["served_by"]) == (lives[0].id, "full")
    assert "reason" not in answer["items"][0]


def test_an_integer_is_an_id_too(running, lives):
    users = lives[0].recommender.catalogue.users
    assert "7" not in users.ids
    assert running.post("/recommend", {"user_id": 7}).json()["user_id"] == "7"


def test_an_unknown_user_gets_what_is_popular(running):
    assert running.post("/recommend", {"user_id": "nobody"}).json()["served_by"] == "popular"


def test_an_event_moves_the_next_answer(running):
    before = running.ids(user_id="u3", k=5)
    assert running.post("/events", {"user_id": "u3", "events": [{"item_id": before[0]}]}).json()["kept"] == 1
    after = running.ids(user_id="u3", k=5)
    assert before[0] not in after


def test_the_same_question_has_the_same_answer_until_something_happens(running):
    ask = {"user_id": "u3", "k": 5}
    first = running.post("/recommend", ask).content
    assert running.post("/recommend", ask).content == first  # timings too: it is the kept one
    running.post("/events", {"user_id": "u3", "events": [{"item_id": "i1"}]})
    assert running.post("/recommend", ask).content != first


def test_what_was_made_in_a_hurry_is_not_kept(running):
    running.service.together.deadline = 0
    assert running.post("/recommend", {"user_id": "u3"}).json()["served_by"] == "unranked"
    running.service.together.deadline = 60
    assert running.post("/recommend", {"user_id": "u3"}).json()["served_by"] == "full"


def test_events_from_another_worker_are_seen_at_once(running):
    from recsys.store import Event

    before = running.ids(user_id="u3", k=5)
    running.service.store.append("u3", [Event(before[0], running.service.live.now())])
    assert before[0] not in running.ids(user_id="u3", k=5)


def test_excluded_items_stay_away(running):
    before = running.ids(user_id="u3", k=5)
    assert not set(before[:3]) & set(running.ids(user_id="u3", k=5, exclude=before[:3]))


def test_picks_make_a_list(running):
    answer = running.post("/interests", {"items": ["i1", "i2"], "k": 5, "explain": True}).json()
    assert answer["served_by"] == "full"
    assert not {"i1", "i2"} & {item["item_id"] for item in answer["items"]}


def test_categories_make_a_list_too(running):
    known = running.client.get("/categories").json()["categories"]
    answer = running.post("/interests", {"categories": known[:1], "k": 5, "explain": True})
    assert answer.status_code == 200
    assert answer.json()["served_by"] == "full"
    assert [item["reason"] for item in answer.json()["items"]]


def test_who_picks_nothing_gets_what_is_popular(running):
    assert running.post("/interests", {}).json()["served_by"] == "popular"


def test_a_batch_is_as_one_by_one(running):
    lists = running.post("/batch", {"user_ids": ["u3", "nobody"], "k": 5}).json()["lists"]
    assert [[item["item_id"] for item in each["items"]] for each in lists] == [
        running.ids(user_id="u3", k=5),
        running.ids(user_id="nobody", k=5),
    ]


def test_similar_items_and_an_unknown_one(running):
    assert running.post("/similar_items", {"item_id": "i1", "k": 3}).json()["items"]
    answer = running.post("/similar_items", {"item_id": "never heard of"})
    assert (answer.status_code, answer.json()) == (404, {"error": "there is no item 'never heard of'"})


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/recommend", {}, "user_id: Field required"),
        ("/recommend", {"user_id": ""}, "user_id: "),
        ("/recommend", {"user_id": "u" * (LONGEST_ID + 1)}, "user_id: "),
        ("/recommend", {"user_id": True}, "user_id: "),
        ("/recommend", {"user_id": "u1", "k": 0}, "k: "),
        ("/recommend", {"user_id": "u1", "k": MOST_ITEMS + 1}, "k: "),
        ("/recommend", {"user_id": "u1", "page": -1}, "page: "),
        ("/recommend", {"user_id": "u1", "exclude": ["i"] * (MOST_IDS + 1)}, "exclude: "),
        ("/recommend", {"user_id": "u1", "colour": "red"}, "colour: Extra inputs"),
        ("/recommend", {"user_id": "u1", "context": {"now": -5}}, "context.now: "),
        ("/recommend", {"user_id": "u1", "context": {"columns": {"device": "phone"}}}, "no context 'device'"),
        ("/events", {"user_id": "u1", "events": []}, "events: "),
        ("/events", {"user_id": "u1", "events": [{"item_id": "i", "value": 1e300}]}, "events.0.value: "),
        ("/batch", {"user_ids": []}, "user_ids: "),
        ("/interests", {"categories": [""]}, "categories.0: "),
        ("/interests", {"categories": ["c"] * (MOST_EVENTS + 1)}, "categories: "),
    ],
)
def test_a_bad_field_is_named(running, path, body, told):
    answer = running.post(path, body)
    assert answer.status_code == 422
    assert told in answer.json()["error"]


@pytest.mark.parametrize("body", [b"", b"no json", b"[1]", b'"text"', b"\xff", b'{"user_id": "\\ud800"}'])
def test_what_is_no_question_is_told_so(running, body):
    answer = running.client.post("/recommend", content=body)
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_a_large_body_is_refused(running):
    answer = running.client.post("/recommend", content=b" " * (running.service.settings.max_body + 1))
    assert answer.status_code == 413


def test_a_failure_of_ours_tells_nothing_of_the_inside(running, monkeypatch):
    def fail(*_):
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(running.service, "_answered", fail)
    answer = running.post("/recommend", {"user_id": "u3"})
    assert (answer.status_code, answer.json()) == (500, {"error": "something went wrong here"})


def test_without_the_store_answers_go_on_and_say_so(running, monkeypatch):
    def away(*_):
        raise StoreError("away")

    whole = running.ids(user_id="u3", k=5)
    monkeypatch.setattr(running.service.store, "read", away)
    answer = running.post("/recommend", {"user_id": "u3", "k": 5}).json()
    assert answer["served_by"] == "without_events"
    assert [item["item_id"] for item in answer["items"]] == whole
    assert running.post("/events", {"user_id": "u3", "events": [{"item_id": "i1"}]}).status_code == 503


def test_another_release_takes_over(running, lives):
    running.ids(user_id="u3")
    answer = running.post("/admin/release", {"release": lives[1].id}, headers=TOKEN)
    assert answer.status_code == 200
    assert running.post("/recommend", {"user_id": "u3"}).json()["release"] == lives[1].id
    told = running.client.get("/release").json()
    assert (told["release"], told["refused"]) == (lives[1].id, None)
    assert pointer(running.service.settings.releases).id == lives[1].id


def test_a_pointer_that_cannot_be_written_changes_nothing(running, lives, monkeypatch):
    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("following.point", full)
    answer = running.post("/admin/release", {"release": lives[1].id}, headers=TOKEN)
    assert (answer.status_code, "no space" in answer.text) == (503, False)
    assert running.service.live is lives[0]


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Bearer "}])
def test_only_the_admin_swaps(running, lives, headers):
    assert running.post("/admin/release", {"release": lives[1].id}, headers=headers).status_code == 401
    assert running.service.live is lives[0]


def test_without_a_token_set_nobody_swaps(running, lives):
    running.service.settings.admin_token = ""
    headers = {"authorization": "Bearer "}
    assert running.post("/admin/release", {"release": lives[1].id}, headers=headers).status_code == 401


def _files(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_a_damaged_release_is_refused_and_the_old_one_stays(running, lives, releases, tmp_path, damage):
    healthy = releases / lives[1].id
    running.service.releases.folder = tmp_path
    for number, name in enumerate(_files(healthy)):
        copy = tmp_path / lives[1].id
        shutil.copytree(healthy, copy)
        content = bytearray((copy / name).read_bytes())
        if damage == "missing":
            (copy / name).unlink()
        elif damage == "truncated":
            (copy / name).write_bytes(content[: len(content) // 2])
        else:
            content[len(content) * number % 97 % len(content)] ^= 1
            (copy / name).write_bytes(content)
        answer = running.post("/admin/release", {"release": lives[1].id}, headers=TOKEN)
        assert answer.status_code == 409, name
        assert answer.json()["error"] == f"release {lives[1].id} is refused; {lives[0].id} stays"
        shutil.rmtree(copy)
    assert running.service.live is lives[0]
    assert pointer(tmp_path) is None
    assert running.ids(user_id="u3")


def test_openapi_describes_each_endpoint_with_an_example(running):
    told = running.client.get("/openapi.json").json()
    assert told["openapi"] == "3.1.0"
    for path in ("/recommend", "/similar_items", "/interests", "/events", "/batch"):
        body = told["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        model = told["components"]["schemas"][body.rsplit("/", 1)[1]]
        for example in model["examples"]:
            assert running.post(path, example).status_code in (200, 404), (path, json.dumps(example))


def test_the_page_and_its_parts_are_served(running):
    for path, kind in (("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")):
        answer = running.client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers["cache-control"] == "no-cache"


def test_a_page_that_is_known_already_is_not_sent_again(running):
    tag = running.client.get("/page.js").headers["etag"]
    answer = running.client.get("/page.js", headers={"if-none-match": tag})
    assert (answer.status_code, answer.content) == (304, b"")
    assert running.client.get("/page.js", headers={"if-none-match": '"another"'}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/app.py", 404),
        ("GET", "/page/../app.py", 404),
        ("POST", "/recommend/", 404),
        ("GET", "/recommend", 405),
        ("OPTIONS", "/recommend", 405),
        ("POST", "/release", 405),
    ],
)
def test_what_is_not_there_is_told_in_json_and_without_cors(running, method, path, status):
    answer = running.client.request(method, path, headers={"origin": "http://elsewhere"})
    assert answer.status_code == status
    assert answer.json()["error"]
    assert ("allow" in answer.headers) == (status == 405)
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_body_may_come_in_pieces(running):
    whole = b'{"user_id": "u3", "k": 5}'
    answer = running.client.post("/recommend", content=iter([whole[:7], b"", whole[7:]]))
    assert len(answer.json()["items"]) == 5


def test_a_large_body_in_pieces_is_refused(running):
    pieces = iter([b" " * 100_000] * 5)
    assert running.client.post("/recommend", content=pieces).status_code == 413


def test_logged_requests_are_answered_again_the_same(running, releases, tmp_path, capsys):
    running.service.log = (tmp_path / "log").open("ab", buffering=0)
    running.service.cache.most = 0
    for number in range(60):
        running.post("/recommend", {"user_id": f"u{number}", "k": 7, "page": number % 3, "exclude": ["i1"]})
        running.post("/events", {"user_id": f"u{number}", "events": [{"item_id": f"i{number}"}]})
        running.post("/recommend", {"user_id": f"u{number}", "explain": True})
    assert main(["replay", str(tmp_path / "log"), "--releases", str(releases)]) == 0
    assert "120 requests answered again, 120 of them the same" in capsys.readouterr().out


@pytest.mark.parametrize("stage", ["recall", "rank", "rerank"])
def test_the_first_stage_that_differs_is_named(running, releases, tmp_path, capsys, stage):
    running.service.log = (tmp_path / "log").open("ab", buffering=0)
    running.post("/recommend", {"user_id": "u3"})
    told = json.loads((tmp_path / "log").read_text())
    told["trace"][stage] = "0" * 16
    (tmp_path / "log").write_text(json.dumps(told) + "\n")
    assert main(["replay", str(tmp_path / "log"), "--releases", str(releases)]) == 1
    assert f"line 1: {stage} differs" in capsys.readouterr().out


def test_a_line_that_is_no_record_is_named(tmp_path, capsys):
    (tmp_path / "log").write_text('{"ask": 1}\n')
    assert main(["replay", str(tmp_path / "log")]) == 2
    assert "line 1 is no record of a request" in capsys.readouterr().err


def test_requests_are_counted_by_path_and_status_and_unknown_paths_as_one(running):
    def counted(path, status):
        line = f'recsys_requests_total{{path="{path}",status="{status}"}} '
        told = running.client.get("/metrics").text.splitlines()
        return sum(float(each.removeprefix(line)) for each in told if each.startswith(line))

    before = counted("/recommend", 200), counted("", 404)
    running.post("/recommend", {"user_id": "u3"})
    for path in ("/nothing", "/nothing/else"):
        running.client.get(path)
    assert (counted("/recommend", 200), counted("", 404)) == (before[0] + 1, before[1] + 2)
