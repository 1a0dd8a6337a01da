"""Prometheus is asked for what there is, and the runbook says what works."""

import json
import re
import subprocess
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import observed
import pytest
import yaml
from memory import Memory
from processes import Proxy, free_port
from typer.testing import CliRunner

from recsys.cli import app

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
GUIDE = (ROOT / "docs" / "operations.md").read_text()
ENDINGS = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
RULES = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "recommender.json").read_text())


def slug(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def named(text: str) -> set[str]:
    return set(re.findall(r"\b(?:recsys|haproxy)_\w+", text))


@pytest.fixture(scope="module")
def of_haproxy(program, tmp_path_factory) -> set[str]:
    """What it tells, really asked, of two replicas that are not there."""
    program("haproxy")
    nobody = [SimpleNamespace(port=free_port()) for _ in range(2)]
    proxy = Proxy(tmp_path_factory.mktemp("haproxy"), nobody, free_port())
    proxy.is_ready = lambda: proxy.control.exists()
    try:
        proxy.start()
        with urllib.request.urlopen(f"http://127.0.0.1:{proxy.metrics_port}/metrics", timeout=5) as told:
            return set(re.findall(r"^(haproxy_\w+)", told.read().decode(), flags=re.MULTILINE))
    finally:
        proxy.stop()


@pytest.fixture(scope="module")
def of_service(tmp_path_factory) -> set[str]:
    folder = tmp_path_factory.mktemp("cgroup")
    (folder / "memory.current").write_text("2000")
    (folder / "memory.max").write_text("4000")
    families = [*observed.REGISTRY.collect(), *Memory(folder).collect()]
    return {each.name + ending for each in families for ending in ENDINGS.get(each.type, [])}


@pytest.mark.parametrize("command", ["check config prometheus.yml", "check rules rules.yml"])
def test_prometheus_takes_them(program, command):
    subprocess.run([program("promtool"), *command.split()], check=True, cwd=PROMETHEUS)


@pytest.mark.parametrize("tests", sorted(each.name for each in PROMETHEUS.glob("*.test.yml")))
def test_alerts_fire_when_they_should(program, tests):
    done = subprocess.run(
        [program("promtool"), "test", "rules", tests],
        cwd=PROMETHEUS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_been_seen_to_fire():
    fired = "".join(each.read_text() for each in PROMETHEUS.glob("*.test.yml"))
    assert not [rule["alert"] for rule in ALERTS if f'alertname="{rule["alert"]}"' not in fired]


def test_rules_and_dashboard_ask_for_what_there_is(of_service, of_haproxy):
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    asked = named(" ".join([*panels, *(rule["expr"] for rule in RULES)]))
    assert asked - of_service - of_haproxy == set()


def test_alerts_wait_and_say_how_bad_and_what_helps():
    headings = {slug(each) for each in re.findall(r"^#+ (.+)$", GUIDE, flags=re.MULTILINE)}
    for rule in ALERTS:
        assert rule.get("for") or rule["keep_firing_for"]
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"]
        page, _, heading = rule["annotations"]["runbook"].partition("#")
        assert page == "docs/operations.md"
        assert heading in headings, rule["alert"]


def test_the_guide_names_each_alert_and_no_other():
    watched = GUIDE.partition("## What to watch")[2]
    told = {name for name in re.findall(r"`([A-Z]\w+)`", watched) if not name.isupper()}
    assert told == {rule["alert"] for rule in ALERTS}


def test_links_of_the_guide_lead_somewhere():
    headings = {slug(each) for each in re.findall(r"^#+ (.+)$", GUIDE, flags=re.MULTILINE)}
    assert set(re.findall(r"\]\(#([\w-]+)\)", GUIDE)) <= headings


def test_commands_of_the_guide_are_there():
    lines = re.findall(r"^recsys (.+)$", GUIDE, flags=re.MULTILINE)
    assert lines
    for line in lines:
        words = re.findall(r"^[a-z ]+", line)[0].split()
        done = CliRunner().invoke(app, [*words, "--help"])
        assert done.exit_code == 0, line
        for option in re.findall(r"--[a-z-]+", line):
            assert option in done.output, line


def test_files_of_the_guide_are_there():
    named_files = set(re.findall(r"`((?:deploy|docs|src|bentos|\.github)/[\w./-]+)`", GUIDE))
    assert {path for path in named_files if not (ROOT / path).exists()} == {"deploy/.env"}  # one's own


def test_memory_is_told_without_files_that_can_be_read_again(tmp_path):
    (tmp_path / "memory.current").write_text("2000\n")
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.stat").write_text("anon 1400\ninactive_file 500\n")
    assert {each.name: each.samples[0].value for each in Memory(tmp_path).collect()} == {
        "recsys_memory_bytes": 1500
    }


def test_nothing_is_told_of_memory_outside_a_container(tmp_path):
    assert not list(Memory(tmp_path).collect())
