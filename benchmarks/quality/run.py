"""Our recommender against the best libraries, on the same data: `python benchmarks/quality/run.py`.

Peers get environments of their own, are tuned on valid with one budget each, fitted on all before test, and
judged once, beside what `make pipeline` has left in artifacts/. The report keeps the verdicts: run again,
here or elsewhere, it asks those who have changed, and all others stay as they were. Stopped, it goes on where
it was, by what is in .quality/. docs/quality.md tells the rest.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import judging
import kept
import yaml
from chart import by_protocol
from moments import with_ties_by_id
from programs import HERE, LIBRARIES, Runs, requirements
from protocols import TUNED_BY, Protocol

from recsys import plots
from recsys.data.dataset import Dataset

ROOT = HERE.parents[1]
SPLITS = ("global_time", "leave_last_out")
BY_ID = "ties_by_id"
"""leave_last_out with ties in the order of ids, as the literature has them."""
INSTALLED = (None, "implicit")
"""Libraries that are in the project's own environment."""
QUICK = 300
OURS = {"default": ROOT, "best": ROOT / ".best"}
"""What `make pipeline` and `make best` leave."""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--ours",
        action="append",
        metavar="NAME=ROOT",
        help="runs of the pipeline (default=., and best=.best where it is)",
    )
    parser.add_argument("--by-id", action="append", metavar="NAME=ROOT", help="runs made by by_id.py")
    parser.add_argument(
        "--protocols", nargs="+", choices=[*SPLITS, BY_ID], help=f"({BY_ID} only if --by-id is given)"
    )
    parser.add_argument("--peers", nargs="+", metavar="NAME", help="of peers.yaml (all)")
    parser.add_argument("--budget", type=float, default=300, help="s of tuning a peer (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=ROOT / "artifacts" / "data")
    parser.add_argument("--cache", type=Path, default=ROOT / ".quality")
    parser.add_argument("--out", type=Path, help="(reports/benchmarks; of --quick a folder of --cache)")
    parser.add_argument("--under", default="", metavar="COMMAND", help='before each program: "taskset -c 0"')
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK} users, first settings, what is installed"
    )
    given = parser.parse_args(arguments)
    made = {name: root for name, root in OURS.items() if (root / "artifacts").is_dir()}
    given.ours = dict(each.split("=", 1) for each in given.ours) if given.ours else made
    given.by_id = dict(each.split("=", 1) for each in given.by_id or [])
    given.out = given.out or (given.cache / "quick" if given.quick else ROOT / "reports" / "benchmarks")
    given.protocols = given.protocols or [*SPLITS, *([BY_ID] if given.by_id else [])]
    return given


def peers_of(given: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The peers to ask, by name."""
    peers = yaml.safe_load((HERE / "peers.yaml").read_text())
    if given.quick:
        peers = {name: quick(peer) for name, peer in peers.items() if LIBRARIES[peer["program"]] in INSTALLED}
    unknown = [name for name in given.peers or [] if name not in peers]
    if unknown:
        raise SystemExit(f"no peer is called {', '.join(unknown)}; there are {', '.join(peers)}")
    return {name: peer for name, peer in peers.items() if name in (given.peers or peers)}


def quick(peer: dict[str, Any]) -> dict[str, Any]:
    """One setting, fitted in a moment."""
    return peer | {
        "tried": [peer["tried"][0] | ({"iterations": 2} if peer["model"] in ("als", "bpr") else {})]
    }


def asked(
    name: str,
    dataset: Dataset,
    peers: dict[str, dict[str, Any]],
    given: argparse.Namespace,
    tuned: dict[str, Any],
) -> Protocol:
    """The protocol ``name`` with all verdicts; ``tuned`` learns how the peers were."""
    split = "leave_last_out" if name == BY_ID else name
    runs = Runs(given.cache, here=given.quick, under=given.under)
    tuning = Protocol(dataset, split, runs, given.seed, QUICK if given.quick else None)
    protocol = replace(tuning, dataset=with_ties_by_id(dataset)) if name == BY_ID else tuning
    protocol.verdicts = kept.verdicts(given.out, name, protocol.test_moment)
    for peer, how in peers.items():
        if split in how.get("splits", SPLITS) and (name != BY_ID or how.get("by_id", False)):
            print(f"{name}: {peer}", flush=True)
            tuned[peer] = tuning.tuned(how, given.budget, tuned.get(peer, {}))
            protocol.ask(peer, how, tuned[peer]["chosen"])
    for run, root in (given.by_id if name == BY_ID else given.ours).items():
        print(f"{name}: {run}", flush=True)
        protocol.ask_ours(run, Path(root))
    return protocol


def main(arguments: list[str] | None = None) -> None:
    """Tune, fit, ask, judge; write quality.json, quality.png and quality/, where what is not asked stays."""
    given = parse(arguments)
    dataset, peers = Dataset.load(given.data), peers_of(given)
    report = kept.report(given.out)
    report |= {"tuned_by": TUNED_BY, "budget_seconds": given.budget, "seed": given.seed}
    report["libraries"] |= versions(peers)
    for name in given.protocols:
        tuned = report["tuned"].setdefault("leave_last_out" if name == BY_ID else name, {})
        protocol = asked(name, dataset, peers, given, tuned)
        told = judging.report(protocol.verdicts, protocol.test, given.seed)
        report["protocols"][name] = {"moment": protocol.test_moment.stem, **told}
        kept.write(given.out, report, {name: {each: one.per_user for each, one in protocol.verdicts.items()}})
    splits = {name: report["protocols"][name] for name in SPLITS if name in report["protocols"]}
    plots.save(by_protocol(splits), given.out / "quality.png")


def versions(peers: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The pin of each library that a peer is of."""
    libraries = {LIBRARIES[peer["program"]] for peer in peers.values()} - {None}
    pins = {name: requirements(name).read_text().splitlines() for name in sorted(libraries)}
    return {
        name: next(pin for pin in every if pin.lower().startswith(f"{name}=="))
        for name, every in pins.items()
    }


if __name__ == "__main__":
    main()
