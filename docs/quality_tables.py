"""Tables of README.md and docs/quality.md from what benchmarks/quality measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from capacity_tables import table

from recsys.artifacts import read_json

REPORT = Path(__file__).resolve().parent.parent / "reports" / "benchmarks" / "quality.json"
SPLITS = ("global_time", "leave_last_out")
HEADLINES = ("ndcg_at_10", "recall_at_100")
STEPS = ("merged", "ranked", "reranked")
"""Of the whole system, which channels are parts of."""
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
    systems = {split: told(split)["systems"] for split in SPLITS}
    names = [name for name in best_last(systems[SPLITS[1]]) if not is_channel(name, systems[SPLITS[1]])]
    rows = []
    for name in names:
        cells = [
            figure(systems[split].get(name, {}).get("metrics", {}), metric, metric == HEADLINES[0])
            for split in SPLITS
            for metric in HEADLINES
        ]
        rows.append([name, *cells])
    header = ["system", *(f"{split}: {metric}" for split in SPLITS for metric in HEADLINES)]
    return f"{table(header, rows)}\n\n" + "\n".join(f"- {sentence}" for sentence in ahead_in_words())


def ahead_in_words() -> list[str]:
    """Of each protocol and headline, the step that is furthest ahead of the best peer, or least behind."""
    sentences = []
    for split in SPLITS:
        for metric, against in told(split)["against_best_peer"].items():
            if metric in HEADLINES and against["ours"]:
                whole = {name: each for name, each in against["ours"].items() if name.endswith(STEPS)}
                name = max(whole, key=lambda name: whole[name]["relative"][0])
                value, low, high = whole[name]["relative"]
                sentences.append(
                    f"{split}, {metric}: {name} {value:+.1%} ({low:+.1%} to {high:+.1%}) "
                    f"against {against['best_peer']}."
                )
    return sentences


def systems(protocol: str) -> str:
    """All figures of one protocol's test fold."""
    every = told(protocol)["systems"]
    metrics = [*next(iter(every.values()))["metrics"]]
    rows = []
    for name in best_last(every):
        measured, took = every[name]["metrics"], [number(every[name].get(key)) for key in TOOK]
        rows.append([name, *(figure(measured, metric, metric == HEADLINES[0]) for metric in metrics), *took])
    return f"{told(protocol)['users']:,} users\n\n{table(['system', *metrics, *TOOK.values()], rows)}"


def ahead(protocol: str, part: str | None = None) -> str:
    """Ours against the best peer, by metric, in ``part`` of the users or all."""
    against = told(protocol)[part] if part else told(protocol)
    rows = [
        [
            metric,
            name,
            each["best_peer"],
            *spread(mine["difference"], "+.4f"),
            *spread(mine["relative"], "+.1%"),
        ]
        for metric, each in against["against_best_peer"].items()
        for name, mine in each["ours"].items()
        if name.endswith(STEPS)
    ]
    return table(["metric", "ours", "best peer", "difference", "", "share", ""], rows, words=3)


def untied() -> str:
    """Of leave_last_out, users whose last rating shares its second with no other."""
    part = told("leave_last_out")["untied"]
    rows = [
        [name, *(figure(part["systems"][name], metric, metric == HEADLINES[0]) for metric in HEADLINES)]
        for name in best_last({name: {"metrics": each} for name, each in part["systems"].items()})
    ]
    head = f"{part['users']:,} users\n\n{table(['system', *HEADLINES], rows)}"
    return f"{head}\n\n{ahead('leave_last_out', 'untied')}"


def sampled() -> str:
    """By NCF's protocol."""
    every = told("leave_last_out")["sampled"]
    metrics = ("hit_rate_at_10", "ndcg_at_10", "mrr_at_10")
    rows = [
        [name, *(figure(every[name], metric, True) for metric in metrics)]
        for name in best_last({name: {"metrics": each} for name, each in every.items()})
    ]
    return table(["system", *metrics], rows)


def by_id() -> str:
    """Of the protocol that is only run where somebody asks for it."""
    return systems("ties_by_id") if "ties_by_id" in read_json(REPORT)["protocols"] else "Not in the last run."


def chosen() -> str:
    """Settings chosen on valid, among how many, in how many seconds of a processor."""
    rows = []
    for split, peers in read_json(REPORT)["tuned"].items():
        for name, each in peers.items():
            trials = each["trials"]
            settings = json.dumps(each["chosen"]).replace('"', "").strip("{}")
            value, spent = max(trial["ndcg_at_10"] for trial in trials), trials[-1]["cpu_seconds"]
            rows.append([split, name, settings, str(len(trials)), f"{spent:,.0f}", f"{value:.4f}"])
    names = ["protocol", "peer", "chosen", "looked at", "tuning, s", "ndcg_at_10 on valid"]
    return table(names, rows, words=3)


def libraries() -> str:
    """Versions of the peers' libraries."""
    return ", ".join(f"`{pin}`" for pin in read_json(REPORT)["libraries"].values())


README: Mapping[str, Callable[[], str]] = {"quality": summary}
QUALITY: Mapping[str, Callable[[], str]] = {
    "libraries": libraries,
    **{split: lambda split=split: systems(split) for split in SPLITS},
    **{f"{split}_ahead": lambda split=split: ahead(split) for split in SPLITS},
    "untied": untied,
    "sampled": sampled,
    "ties_by_id": by_id,
    "chosen": chosen,
}
"""Blocks by name, of each document."""


def best_last(systems: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Peers, then ours, each by rising ndcg_at_10."""
    return sorted(systems, key=lambda name: (":" in name, systems[name]["metrics"][HEADLINES[0]][0]))


def is_channel(name: str, systems: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether it is a part of ours, not the whole."""
    return bool(systems[name]["ours"]) and not name.endswith(STEPS)


def figure(metrics: Mapping[str, Sequence[float]], metric: str, interval: bool) -> str:
    """A value, and behind it its interval where wanted; nothing where it was not measured."""
    if metric not in metrics:
        return ""
    value, *ends = metrics[metric]
    return f"{value:.3f} ({ends[0]:.3f}–{ends[1]:.3f})" if interval and ends else f"{value:.3f}"


def number(value: float | None) -> str:
    """Seconds or megabytes; nothing where they were not measured."""
    return "" if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def spread(values: Sequence[float], style: str) -> tuple[str, str]:
    """A value and its interval."""
    value, low, high = (format(each, style) for each in values)
    return value, f"({low} to {high})"
