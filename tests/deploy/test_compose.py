"""deploy/compose.yaml is a Compose file, gives away nothing, and fits the files around it."""

import re
import subprocess
import sys

import pytest


def test_it_is_what_the_specification_says(deploy):
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    subprocess.run([*check, str(deploy / "compose.yaml")], check=True)


def test_compose_takes_it(deploy, program, tmp_path):
    variables = re.sub(r"^(\w+)=$", r"\1=secret", (deploy / ".env.example").read_text(), flags=re.MULTILINE)
    (tmp_path / ".env").write_text(variables)
    command = [program("docker-compose"), "--env-file", str(tmp_path / ".env")]
    subprocess.run([*command, "--file", str(deploy / "compose.yaml"), "config", "--quiet"], check=True)


def test_every_container_is_hardened(compose):
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}, name
        assert not service.get("privileged"), name


def test_every_server_says_whether_it_is_well(compose):
    # The image of the service brings its own; what gives the volume away ends at once.
    without = {name for name, service in compose["services"].items() if "healthcheck" not in service}
    assert without == {"recommender", "s3-owner"}


def test_nobody_is_root_but_who_gives_the_volume_away(compose):
    users = {name: service.get("user") for name, service in compose["services"].items()}
    assert users.pop("recommender") is None  # the image's own
    assert {name for name, user in users.items() if user.startswith("0:")} == {"s3-owner"}


def test_no_secret_has_a_default(deploy):
    used = re.findall(r"\$\{(\w*(?:SECRET|PASSWORD|TOKEN)\w*)(.*?)\}", (deploy / "compose.yaml").read_text())
    assert {name for name, _ in used} >= {"REDIS_PASSWORD", "S3_PUBLISHER_SECRET", "GRAFANA_PASSWORD"}
    for name, otherwise in used:
        assert otherwise == ":-" if name == "ADMIN_TOKEN" else otherwise.startswith(":?"), name


def test_the_example_names_every_secret_and_gives_none(deploy):
    wanted = set(re.findall(r"\$\{(\w+):\?", (deploy / "compose.yaml").read_text()))
    given = dict(re.findall(r"^(\w+)=(.*)$", (deploy / ".env.example").read_text(), flags=re.MULTILINE))
    assert wanted <= set(given)
    assert set(given.values()) == {""}


def test_images_are_pinned(compose):
    for name, service in compose["services"].items():
        if name != "recommender":
            assert re.search(r":v?\d+\.\d+", service["image"]), name


def test_all_that_is_mounted_is_there(deploy, compose):
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            if volume.startswith("./"):
                assert (deploy / volume.split(":")[0]).is_file(), volume


def test_haproxy_is_told_all_that_it_reads(compose, wanted_by_haproxy):
    assert set(compose["services"]["haproxy"]["environment"]) == wanted_by_haproxy


def test_there_are_two_replicas_or_more(compose):
    assert compose["services"]["recommender"]["deploy"]["replicas"] >= 2


@pytest.mark.parametrize("name", ["redis", "recommender"])
def test_what_is_inside_is_not_published(compose, name):
    service = compose["services"][name]
    assert "ports" not in service
    assert service["networks"] == ["inside"]
    assert compose["networks"]["inside"]["internal"] is True
