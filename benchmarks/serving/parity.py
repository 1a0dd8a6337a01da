"""Whether the service answers what the command line does: `python benchmarks/serving/parity.py`.

The service, without events and with time enough, is asked over HTTP for the lists of users drawn at random;
`recsys recommend --all` exports the lists of everybody. Items must be the same in the same order, scores the
same to 0.000001. Then `recsys replay` answers again what the service logged, to the last digit; like the
service it has one thread. Writes a report (JSON); exit code 1 where anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from servers import ONE_THREAD, RELEASES, REPORTS, SERVICE, served

from recsys import columns
from recsys.artifacts import write_json
from recsys.catalogue import Catalogue
from recsys.release import RECOMMENDER, list_releases

RECSYS = str(Path(sys.executable).with_name("recsys"))
K, SEED = 20, 0
CLOSE = 1e-6
"""By which scores may differ: lists of many at once sum in another order."""
PATIENT = {"RECSYS_DEADLINE_MS": "60000"}
"""No list may depend on how busy the machine is."""
REPLAYED = re.compile(r"(\d+) requests answered again, (\d+) of them the same")

Lists = Mapping[str, tuple[list[str], np.ndarray]]
"""Items and scores by user."""


def main() -> int:
    arguments = parse()
    release = list_releases(arguments.releases)[-1].folder
    ids = Catalogue.load(release / RECOMMENDER / "catalogue").users.ids
    users = np.random.default_rng(SEED).choice(ids, min(arguments.users, len(ids)), replace=False).tolist()
    with TemporaryDirectory() as folder:
        log = Path(folder) / "requests.jsonl"
        answers = asked(users, arguments.releases, log)
        exports = exported(release, Path(folder) / "lists.parquet")
        replayed, identical = replay(log, arguments.releases)
    report = compared(answers, exports) | {"replayed": replayed, "replayed_identical": identical}
    write_json(arguments.out, report)
    print(json.dumps(report, indent=2))
    return 0 if passed(report) else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=1000, help="asked for (default: %(default)s)")
    parser.add_argument("--releases", type=Path, default=RELEASES, help="the newest in this folder answers")
    parser.add_argument("--out", type=Path, default=REPORTS / "parity.json", help="the report")
    return parser.parse_args()


def asked(users: Sequence[str], releases: Path, log: Path) -> Lists:
    """What the service answers, one user after the other; each request stands in ``log`` then."""
    told = {
        "RECSYS_RELEASES": str(releases.resolve()),
        "RECSYS_STORE": str(log.parent / "store"),
        "RECSYS_LOG": str(log),
        "RECSYS_LOG_SHARE": "1",
        **PATIENT,
    }
    with served(*SERVICE, told) as server:
        return answered(server.port, users)


def answered(port: int, users: Sequence[str]) -> Lists:
    """What a service that runs here answers."""
    connection = HTTPConnection("127.0.0.1", port)
    answers = {user: ask(connection, user) for user in users}
    connection.close()
    return answers


def ask(connection: HTTPConnection, user: str) -> tuple[list[str], np.ndarray]:
    body = json.dumps({"user_id": user, "k": K, "explain": False})
    connection.request("POST", "/recommend", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    content = json.loads(answer.read())
    if answer.status != 200:
        raise SystemExit(f"user {user!r}: {answer.status} {content}")
    return [each["item_id"] for each in content["items"]], np.array(
        [each["score"] for each in content["items"]]
    )


def exported(release: Path, out: Path) -> Lists:
    """What `recsys recommend` writes for everybody."""
    options = ["--all", "--k", str(K), "--release", str(release), "--out", str(out)]
    subprocess.run([RECSYS, "recommend", *options], check=True, env=os.environ | ONE_THREAD)
    rows = pd.read_parquet(out).sort_values([columns.USER_ID, columns.RANK])
    return {
        str(user): (each[columns.ITEM_ID].tolist(), each[columns.SCORE].to_numpy(dtype=np.float64))
        for user, each in rows.groupby(columns.USER_ID, sort=False)
    }


def replay(log: Path, releases: Path) -> tuple[int, int]:
    """How many logged requests `recsys replay` answers again, and how many of them the same."""
    command = [RECSYS, "replay", str(log), "--releases", str(releases)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ | ONE_THREAD)
    told = REPLAYED.search(done.stdout)
    if told is None:
        raise SystemExit(f"recsys replay ended with {done.returncode}: {done.stdout}")
    return int(told[1]), int(told[2])


def compared(answers: Lists, exports: Lists) -> dict[str, Any]:
    """How many lists have the same items in the same order, and by how much scores differ there."""
    nothing: tuple[list[str], np.ndarray] = ([], np.empty(0))
    same = {user for user, (items, _) in answers.items() if items == exports.get(user, nothing)[0]}
    apart = [np.abs(answers[user][1] - exports[user][1]).max() for user in same if answers[user][0]]
    return {
        "users": len(answers),
        "identical_lists": len(same),
        "largest_score_difference": float(max(apart, default=0.0)),
    }


def passed(report: Mapping[str, Any]) -> bool:
    """Every list, every score, every replayed request; and nothing was left out of the log."""
    users = report["users"]
    counts = ("identical_lists", "replayed", "replayed_identical")
    return all(report[each] == users for each in counts) and report["largest_score_difference"] <= CLOSE


if __name__ == "__main__":
    sys.exit(main())
