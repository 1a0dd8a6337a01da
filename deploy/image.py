"""The images of the service, by podman: `python deploy/image.py`.

Works without a Docker engine, and where no registry can be reached: then the image that all others start from
is made of Debian's packages (by debootstrap, as root). Where Python's packages come from is told by
PIP_INDEX_URL and SSL_CERT_FILE, and remembered in no image. Prints the name of the image and its size.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from processes import BENTO, BIN, Server, ServerError, answers_at, free_port, program

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = "docker.io/library/python:3.11-slim-bookworm"
"""What images start from where nothing else is said."""
MADE = "localhost/recsys-base:bookworm"
"""The like of it, made here."""
PACKAGES = ("ca-certificates", "python3", "python3-pip", "python3-venv")
NEEDLESS = (
    "usr/share/doc",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
)
BENTOML = "bento"
TARGETS = ("service", "with-release", BENTOML)
"""Of the Dockerfile, and BentoML's own."""
CA = "/etc/ssl/certs/ca-certificates.crt"
LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")
"""podman's own are more than some machines allow."""
CONFINED = (
    *("--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp"),
    *("--cap-drop=all", "--security-opt=no-new-privileges"),
)
"""How little a container may do: all that it can write is /tmp."""


class ImageError(Exception):
    """An image cannot be made; the message says what failed."""


def podman(*arguments: str) -> list[str]:
    """A podman command that also runs where there is no systemd, or cgroups of both versions."""
    return [program("podman"), "--cgroup-manager=cgroupfs", "--runtime=runc", *arguments]


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """What a command says; ImageError where it fails. What it complains of is seen."""
    environment = os.environ | dict(environment or {})
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=environment)
    if done.returncode:
        raise ImageError(f"{' '.join(command[:4])}... ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout.strip()


@dataclass(frozen=True)
class Image:
    """One that is here."""

    name: str

    @property
    def megabytes(self) -> float:
        return int(run(podman("image", "inspect", "--format={{.Size}}", self.name))) / 1e6


def base(named: str | None) -> str:
    """What images start from: the one named, or the published one; made here where nobody hands that out."""
    if named:
        return named
    for name in (PUBLISHED, MADE):
        if not subprocess.run(podman("image", "exists", name)).returncode:
            return name
    if not subprocess.run(podman("pull", "--quiet", PUBLISHED), stdout=subprocess.DEVNULL).returncode:
        return PUBLISHED
    return made()


def made() -> str:
    """Make `MADE` of Debian's packages."""
    with TemporaryDirectory() as folder:
        into = Path(folder) / "root"
        own = ["--variant=minbase", f"--include={','.join(PACKAGES)}"]
        run([program("debootstrap"), *own, "bookworm", str(into), _mirror()])
        for each in NEEDLESS:
            shutil.rmtree(into / each, ignore_errors=True)
        # Debian's, which keeps pip from installing beside its packages: here nobody else installs any.
        next(into.glob("usr/lib/python3.*/EXTERNALLY-MANAGED")).unlink()
        archive = f"{folder}/root.tar"
        run(["tar", "-C", str(into), "-cf", archive, "."])
        run(podman("import", "--quiet", archive, MADE))
    return MADE


def _mirror() -> str:
    """Where this machine has Debian's packages from."""
    own = ["--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"]
    told = run([program("apt-get"), "indextargets", *own]).splitlines()
    if not told:
        raise ImageError("apt-get knows no mirror of Debian yet: apt-get update")
    return told[0]


def build(target: str, start: str) -> Image:
    """Make the image ``target``, from the image ``start``."""
    return of_bento(start) if target == BENTOML else of_dockerfile(target, start)


def of_dockerfile(target: str, start: str) -> Image:
    """Make a stage of the Dockerfile."""
    image = Image(f"localhost/recsys:{target}")
    with sources() as source:
        own = [
            f"--tag={image.name}",
            f"--target={target}",
            f"--build-arg=BASE_IMAGE={start}",
            "--format=docker",
        ]
        secrets = [f"--secret=id=pip,src={source / 'pip.conf'}", f"--secret=id=ca,src={source / 'ca'}"]
        run(podman("build", "--layers", "--isolation=chroot", "--network=host", *own, *secrets, str(ROOT)))
    return image


def of_bento(start: str) -> Image:
    """Make a Bento, and BentoML's image of it."""
    image = Image("localhost/recommender:bento")
    with TemporaryDirectory() as home, sources() as source:
        mounts = {source / "pip.conf": "/etc/pip.conf", source / "uv.toml": "/etc/uv/uv.toml"}
        mounts |= {source / "ca": CA, Path(home): "/root/.cache"}
        volumes = [f"{here}:{there}" for here, there in mounts.items()]
        # BentoML hands on but one --volume.
        (source / "containers.conf").write_text(f"[containers]\nvolumes = {json.dumps(volumes)}\n")
        environment = {"BENTOML_HOME": home, "BENTOML_DO_NOT_TRACK": "True"}
        tag = run([str(BIN / "bentoml"), "build", "--output=tag", str(BENTO)], environment).split(":", 1)[1]
        environment["CONTAINERS_CONF"] = str(source / "containers.conf")
        options = ["isolation=chroot", "network=host", "format=docker", f"from={start}"]
        own = ["--backend=podman", f"--image-tag={image.name}", *(f"--opt={each}" for each in options)]
        run([str(BIN / "bentoml"), "containerize", *own, tag], environment)
    return image


@contextmanager
def sources() -> Iterator[Path]:
    """A folder with ``pip.conf``, ``uv.toml`` and the ``ca`` they name: where packages come from here."""
    ca, index = os.environ.get("SSL_CERT_FILE", CA), os.environ.get("PIP_INDEX_URL")
    with TemporaryDirectory() as folder:
        shutil.copy(ca, f"{folder}/ca")
        pip, uv = ["[global]", f"cert = {CA}"], ["native-tls = true"]
        if index:
            pip.append(f"index-url = {index}")
            uv.append(f'index-url = "{index}"')
        Path(folder, "pip.conf").write_text("\n".join(pip) + "\n")
        Path(folder, "uv.toml").write_text("\n".join(uv) + "\n")
        yield Path(folder)


class Container(Server):
    """An image that runs with ``options`` of podman, and is told ``told`` by the environment."""

    def __init__(
        self, folder: Path, image: Image, told: Mapping[str, str], options: Sequence[str] = ()
    ) -> None:
        super().__init__(folder)
        self.image, self.told, self.options = image, told, options
        self.port = free_port()
        self.name = f"recsys-{self.port}"

    def command(self) -> Sequence[str]:
        told = [f"--env={name}={value}" for name, value in {"BENTOML_PORT": self.port, **self.told}.items()]
        own = ["--rm", f"--name={self.name}", "--network=host", *LIMITS, *self.options, *told]
        return podman("run", *own, self.image.name)

    def is_ready(self) -> bool:
        return answers_at(self.port)

    def is_healthy(self) -> bool:
        """Whether its own health check says so; False where it has none."""
        return not subprocess.run(podman("healthcheck", "run", self.name), capture_output=True).returncode

    def within(self, command: Sequence[str], told: str = "") -> str:
        """What a command says that runs in it, reading ``told``."""
        done = subprocess.run(
            podman("exec", "--interactive", self.name, *command),
            input=told,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    def kill(self) -> None:
        subprocess.run(podman("rm", "--force", "--ignore", self.name), stdout=subprocess.DEVNULL, check=True)
        super().kill()


def main() -> int:
    """0; 2 where an image cannot be made."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", choices=TARGETS, default=TARGETS[0], help="(default: %(default)s)")
    parser.add_argument("--base", metavar="IMAGE", help="to start from, rather than the published one")
    arguments = parser.parse_args()
    try:
        image = build(arguments.target, base(arguments.base))
        print(f"{image.name} {image.megabytes:.0f} MB")
    except (ImageError, ServerError) as error:
        print(f"image: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
