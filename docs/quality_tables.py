"""Tables of README.md and docs/quality.md from what benchmarks/quality measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from capacity_tables import table

from recsys.artifacts import read_json

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "reports" / "benchmarks" / "quality.json"
PEERS = ROOT / "benchmarks" / "quality" / "peers.yaml"
SPLITS = ("global_time", "leave_last_out")
HEADLINES = ("ndcg_at_10", "recall_at_100")
COMPARED = (*HEADLINES, "recall_at_300")
METRICS = (
    "ndcg_at_10",
    "hit_rate_at_10",
    "mrr_at_10",
    "recall_at_10",
    "recall_at_100",
    "recall_at_300",
    "coverage_at_10",
)
STEPS = ("merged", "ranked", "reranked", "untimed")
"""Of the whole system, which channels are parts of; untimed: ranked, and not told when it is asked."""
NAMESAKES = {
    "two_tower": "torch-rechub DSSM",
    "youtube_dnn": "torch-rechub YoutubeDNN",
    "mind": "torch-rechub MIND",
    "sequence": "RecTools SASRec",
}
TOOK = {
    "fit_seconds": "fitted, s",
    "notebook_seconds": "notebooks, s",
    "recommend_seconds": "all answered, s",
    "peak_mb": "MB",
}


def told(protocol: str) -> Mapping[str, Any]:
    """What the report says of a protocol."""
    protocols: Mapping[str, Any] = read_json(REPORT)["protocols"]
    return protocols[protocol]


def summary() -> str:
    """README: peers and the whole system by both protocols, and how far ahead of the best peer it is."""
    by_split = {split: told(split)["systems"] for split in SPLITS}
    rows = [
        [name, *(cell for split in SPLITS for cell in cells(by_split[split].get(name, {}), HEADLINES))]
        for name, each in best_last(by_split[SPLITS[-1]])
        if not each["ours"] or name.endswith(STEPS)
    ]
    header = ["system", *(f"{split}: {metric}" for split in SPLITS for metric in HEADLINES)]
    sentences = [*ahead_in_words(), *not_asked()]
    return f"{table(header, rows)}\n\n" + "\n".join(f"- {sentence}" for sentence in sentences)


def not_asked() -> list[str]:
    """Of each protocol, peers that the last run has left out."""
    listed = yaml.safe_load(PEERS.read_text())
    left_out = {
        split: [
            name
            for name, peer in listed.items()
            if name not in told(split)["systems"] and split in peer.get("splits", SPLITS)
        ]
        for split in SPLITS
    }
    return [f"{split}, not asked yet: {', '.join(names)}" for split, names in left_out.items() if names]


def ahead_in_words() -> list[str]:
    """Of each protocol and headline, how far ahead of the best peer the whole system is."""
    sentences = []
    for split in SPLITS:
        for metric in HEADLINES:
            against = told(split)["against_best_peer"][metric]
            gains = [
                f"{name} {' '.join(spread(each['relative'], '+.1%'))}"
                for name, each in against["ours"].items()
                if name.endswith(STEPS[1:])
            ]
            sentences.append(f"{split}, {metric} against {against['best_peer']}: {', '.join(gains)}")
    return sentences


def systems(protocol: str) -> str:
    """All figures of one protocol's test fold."""
    rows = [
        [name, *cells(each, METRICS), *(number(each.get(key)) for key in TOOK)]
        for name, each in best_last(told(protocol)["systems"])
    ]
    return f"{told(protocol)['users']:,} users\n\n{table(['system', *METRICS, *TOOK.values()], rows)}"


def ahead(part: Mapping[str, Any]) -> str:
    """The whole system against the best peer, by metric, in a ``part`` of the users or all."""
    rows = []
    for metric in COMPARED:
        against = part["against_best_peer"][metric]
        for name, each in against["ours"].items():
            if name.endswith(STEPS):
                gains = [*spread(each["difference"], "+.4f"), *spread(each["relative"], "+.1%")]
                rows.append([metric, name, against["best_peer"], *gains])
    return table(["metric", "ours", "best peer", "difference", "", "relative", ""], rows, words=3)


def namesakes() -> str:
    """Channels of ours and the peers' models of their kind, by recall_at_100."""
    rows = []
    for split in SPLITS:
        every = told(split)["systems"]
        for channel, peer in NAMESAKES.items():
            ours = [name for name in every if name.endswith(f": {channel}")]
            for name in ours[:1] if peer in every else []:
                mine, its = (every[each]["metrics"]["recall_at_100"][0] for each in (name, peer))
                rows.append([split, channel, peer, f"{mine:.3f}", f"{its:.3f}", f"{mine / its:.1f}"])
    return table(["protocol", "ours", "theirs", "recall_at_100", "theirs", "times"], rows, words=3)


def untied() -> str:
    """Of leave_last_out, users whose last rating shares its second with no other."""
    part = told("leave_last_out")["untied"]
    rows = [[name, *cells(each, HEADLINES)] for name, each in best_last(part["systems"])]
    return f"{part['users']:,} users\n\n{table(['system', *HEADLINES], rows)}\n\n{ahead(part)}"


def sampled() -> str:
    """By NCF's protocol."""
    every = told("leave_last_out")["sampled"]["systems"]
    metrics = ("ndcg_at_10", "hit_rate_at_10", "mrr_at_10")
    return table(["system", *metrics], [[name, *cells(each, metrics)] for name, each in best_last(every)])


def by_id() -> str:
    """Of the protocol that is only run where somebody asks for it."""
    return systems("ties_by_id") if "ties_by_id" in read_json(REPORT)["protocols"] else "Not in the last run."


def chosen() -> str:
    """Settings chosen on valid, of how many trainings and looks, in how many seconds of a processor."""
    rows = []
    for split, peers in read_json(REPORT)["tuned"].items():
        for name, each in peers.items():
            settings = json.dumps(each["chosen"]).replace('"', "").strip("{}") or "defaults"
            rows.append([split, name, settings, *(tuning(each["trials"]) or [""] * 4)])
    names = ["protocol", "peer", "chosen", "trained", "looked at", "tuning, s", "ndcg_at_10 on valid"]
    return table(names, rows, words=3)


def tuning(trials: Sequence[Mapping[str, Any]]) -> list[str]:
    """Trainings, looks, seconds and the best value on valid; nothing of settings that stand alone."""
    if not trials:
        return []
    trainings = len({trial["cpu_seconds"] for trial in trials})
    value, spent = max(trial["ndcg_at_10"] for trial in trials), trials[-1]["cpu_seconds"]
    return [str(trainings), str(len(trials)), f"{spent:,.0f}", f"{value:.4f}"]


def libraries() -> str:
    """Versions of the peers' libraries."""
    return ", ".join(f"`{pin}`" for pin in read_json(REPORT)["libraries"].values())


README: Mapping[str, Callable[[], str]] = {"quality": summary}
QUALITY: Mapping[str, Callable[[], str]] = {
    "libraries": libraries,
    **{split: lambda split=split: systems(split) for split in SPLITS},
    **{f"{split}_ahead": lambda split=split: ahead(told(split)) for split in SPLITS},
    "namesakes": namesakes,
    "untied": untied,
    "sampled": sampled,
    "ties_by_id": by_id,
    "chosen": chosen,
}
"""Blocks by name, of each document."""


def best_last(systems: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Peers, then ours, each by rising ndcg_at_10."""
    return sorted(systems.items(), key=lambda each: (each[1]["ours"], each[1]["metrics"]["ndcg_at_10"][0]))


def cells(system: Mapping[str, Any], metrics: Sequence[str]) -> list[str]:
    """Values of ``metrics``, the first with its interval; nothing where it was not measured."""
    found = []
    for metric in metrics:
        value, *ends = system.get("metrics", {}).get(metric, [None])
        interval = f" ({ends[0]:.3f}–{ends[1]:.3f})" if ends and metric == metrics[0] else ""
        found.append("" if value is None else f"{value:.3f}{interval}")
    return found


def number(value: float | None) -> str:
    """Seconds or megabytes; nothing where they were not measured."""
    return "" if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def spread(values: Sequence[float], style: str) -> tuple[str, str]:
    """A value and its interval."""
    value, low, high = (format(each, style) for each in values)
    return value, f"({low} to {high})"
