""".github: what GitHub would refuse, and what runs with more rights than it needs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
BIN = Path(sys.executable).parent


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request) -> dict:
    return yaml.safe_load(request.param.read_text())


def test_actionlint_finds_nothing():
    subprocess.run([BIN / "actionlint", "-shellcheck", BIN / "shellcheck", *WORKFLOWS], check=True, cwd=ROOT)


def test_scripts_are_clean():
    subprocess.run([BIN / "shellcheck", ROOT / ".ci" / "run"], check=True)


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("vendor.dependabot", [ROOT / ".github" / "dependabot.yml"]),
    ],
)
def test_schemas_hold(schema, files):
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    subprocess.run([*check, *map(str, files)], check=True)


def test_nothing_may_be_written_unless_a_job_says_so(workflow):
    assert workflow["permissions"] == {"contents": "read"}


def test_jobs_end(workflow):
    for name, job in workflow["jobs"].items():
        assert "uses" in job or job["timeout-minutes"] <= 300, name


def test_actions_are_pinned_by_commit(workflow):
    used = {
        step["uses"] for job in workflow["jobs"].values() for step in job.get("steps", []) if "uses" in step
    }
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action


def test_what_somebody_types_is_not_run_as_code(workflow):
    for job in workflow["jobs"].values():
        for step in job.get("steps", []):
            assert "${{" not in step.get("run", ""), step


def test_each_push_runs_what_holds_everywhere():
    check = yaml.safe_load((ROOT / ".github" / "workflows" / "check.yaml").read_text())
    assert ".ci/run" in [step.get("run") for step in check["jobs"]["check"]["steps"]]
