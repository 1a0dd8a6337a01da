"""deploy/kubernetes: valid as its versions' schemas say, hardened, and fitting the files around it."""

import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
LAYERS = ["base", "overlays/production"]
VERSIONS = ["1.31", "1.34", kubernetes_validate.latest_version()]


@pytest.fixture(scope="session")
def build(program):
    """Manifests of a folder, by kind and name."""
    command = [program("kustomize"), "build", "--load-restrictor", "LoadRestrictionsNone"]

    def build(folder: Path) -> dict[tuple[str, str], dict]:
        done = subprocess.run([*command, folder], capture_output=True, text=True, check=True)
        return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(done.stdout)}

    return build


@pytest.fixture(scope="session")
def built(build):
    return {layer: build(KUBERNETES / layer) for layer in LAYERS}


@pytest.fixture(params=LAYERS)
def layer(request, built):
    return built[request.param]


def pods(layer) -> dict[str, dict]:
    return {
        name: each["spec"]["template"]["spec"] for (kind, name), each in layer.items() if kind == "Deployment"
    }


def config_map(layer, prefix: str) -> dict[str, str]:
    [found] = [
        each["data"]
        for (kind, name), each in layer.items()
        if kind == "ConfigMap" and name.startswith(f"{prefix}-")
    ]
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_schemas_hold(layer, version):
    for manifest in layer.values():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_haproxy_has_the_very_file(layer, deploy):
    assert config_map(layer, "haproxy") == {"haproxy.cfg": (deploy / "haproxy.cfg").read_text()}


def test_haproxy_is_told_all_that_it_reads(layer, wanted_by_haproxy):
    told = {each["name"] for each in pods(layer)["haproxy"]["containers"][0]["env"]}
    assert told == wanted_by_haproxy | {"NAMESPACE"}


def test_the_service_knows_what_it_is_told(layer):
    from settings import Settings

    known = {f"RECSYS_{each.name.upper()}" for each in fields(Settings)} | {"RECSYS_REMOTE"}
    told = config_map(layer, "recommender")
    assert {name for name in told if name.startswith("RECSYS_")} <= known


def test_every_pod_is_restricted(layer):
    for name, pod in pods(layer).items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "memory" in container["resources"]["limits"]
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])


def test_every_pod_is_probed_and_has_time_to_end(layer):
    for name, pod in pods(layer).items():
        [container] = pod["containers"]
        assert {"readinessProbe", "livenessProbe"} <= set(container), name
        assert pod["terminationGracePeriodSeconds"] > int(
            container["lifecycle"]["preStop"]["exec"]["command"][1]
        )


def test_replicas_are_never_fewer_while_they_are_replaced(layer):
    deployments = [each for (kind, _), each in layer.items() if kind == "Deployment"]
    for each in deployments:
        assert each["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        budget = layer["PodDisruptionBudget", each["metadata"]["name"]]
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["selector"] == each["spec"]["selector"]


def test_secrets_are_named_and_not_there(layer):
    assert not [name for kind, name in layer if kind == "Secret"]
    [container] = pods(layer)["recommender"]["containers"]
    assert {"secretRef": {"name": "recommender"}} in container["envFrom"]


def test_services_find_their_pods(layer):
    for (kind, name), service in layer.items():
        if kind == "Service":
            deployment = layer["Deployment", name]["spec"]["template"]
            assert service["spec"]["selector"].items() <= deployment["metadata"]["labels"].items()
            ports = {each["name"] for each in deployment["spec"]["containers"][0]["ports"]}
            assert {each["targetPort"] for each in service["spec"]["ports"]} <= ports


def test_the_name_of_the_replicas_resolves_to_each(layer):
    assert layer["Service", "recommender"]["spec"]["clusterIP"] == "None"


def test_haproxy_has_a_place_for_all_replicas_that_there_may_be(built, deploy):
    most = built["overlays/production"]["HorizontalPodAutoscaler", "recommender"]["spec"]["maxReplicas"]
    assert "server-template replica 1-32 " in (deploy / "haproxy.cfg").read_text()
    assert most < 32
    assert "replicas" not in built["overlays/production"]["Deployment", "recommender"]["spec"]


def test_a_deploy_says_which_image(build, program, deploy, tmp_path):
    image = "ghcr.io/somebody/recsys@sha256:" + 64 * "a"
    overlay = shutil.copytree(deploy, tmp_path / "deploy") / "kubernetes" / "overlays" / "production"
    subprocess.run([program("kustomize"), "edit", "set", "image", f"recsys={image}"], cwd=overlay, check=True)
    assert pods(build(overlay))["recommender"]["containers"][0]["image"] == image
