"""The parts of the topology as processes of this machine; each can be stopped, killed and started again."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

HERE = Path(__file__).resolve().parent
BENTO = HERE.parent / "bentos" / "recommender"
BIN = Path(sys.executable).parent
PORTS = range(10_000, 32_768)
"""Below those that Linux gives to who calls (net.ipv4.ip_local_port_range)."""
COMES_UP = 120.0
"""Seconds that a server may take until it answers: the very first time kernels are compiled."""
ENDS = 15.0
"""Seconds that it may take to end; then it is killed."""
BUCKET, REGION = "recsys", "us-east-1"
IDENTITIES: Mapping[str, tuple[str, Sequence[str]]] = {
    "publisher": ("publishing", ("Admin", "Read", "Write", "List", "Tagging")),
    "reader": ("reading", ("Read", "List")),
}
"""Secrets and rights in the S3 of this machine, by access key: it listens here alone, and is thrown away."""


class ServerError(Exception):
    """A server does not come up; the message ends with its log."""


def free_port() -> int:
    """A port of this machine that nobody listens at, nor is given to who calls somebody else."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port


def answers_at(port: int) -> bool:
    """Whether a service of this machine is ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as told:
            return bool(told.status == 200)
    except OSError:
        return False


def program(name: str) -> str:
    """Path of a program; ServerError tells how to get it."""
    path = shutil.which(name)
    if path is None:
        raise ServerError(f"{name} is missing: apt-get install {name}")
    return path


class Server:
    """A process with a group of its own, started in ``cwd``; what it says is in ``folder/log``."""

    cwd = HERE

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        return {}

    def is_ready(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        """Return once it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.cwd,
                env=os.environ | dict(self.environment()),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + COMES_UP
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > end:
                raise ServerError(f"{self.command()[0]}: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def pids(self) -> list[int]:
        """Of all its processes."""
        assert self.process is not None
        return _family(self.process.pid)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all of its processes, as to a machine: BentoML's workers have own groups."""
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.send(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """Ask it to end, and wait."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(ENDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None


def _family(pid: int) -> list[int]:
    """A process and all that it started, the youngest last."""
    told = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/children")]
    return [pid, *(each for children in told for child in children.split() for each in _family(int(child)))]


class Redis(Server):
    """A Redis that keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        return [program("redis-server"), "--port", str(self.port), "--save", "", "--bind", "127.0.0.1"]

    def is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


class S3(Server):
    """SeaweedFS, which checks signatures; it has one `BUCKET`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ports = {name: free_port() for name in ("s3", "master", "volume", "filer")}
        self.grpc_ports = {name: free_port() for name in self.ports}
        self.endpoint = f"http://127.0.0.1:{self.ports['s3']}"

    def command(self) -> Sequence[str]:
        identities = [
            {"name": key, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": list(actions)}
            for key, (secret, actions) in IDENTITIES.items()
        ]
        (self.folder / "s3.json").write_text(json.dumps({"identities": identities}))
        return [
            *(str(BIN / "weed"), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={self.folder}"),
            *(f"-{name}.port={port}" for name, port in self.ports.items()),
            *(f"-{name}.port.grpc={port}" for name, port in self.grpc_ports.items()),
            *("-s3", f"-s3.config={self.folder / 's3.json'}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            *("-master.volumeSizeLimitMB=64", "-volume.max=20"),
        ]

    def stop(self) -> None:
        """End it at once: it takes long to end, and what it keeps is thrown away."""
        self.kill()

    def is_ready(self) -> bool:
        """Whether an object can be written: the volumes come up last."""
        try:
            client = self.client()
            if BUCKET not in {each["Name"] for each in client.list_buckets()["Buckets"]}:
                client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="probe", Body=b"")
            return True
        except (BotoCoreError, ClientError):
            return False

    def credentials(self, key: str = "publisher", secret: str | None = None) -> dict[str, str]:
        """What boto3 reads of the environment; the right ``secret`` if none is given."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": IDENTITIES[key][0] if secret is None else secret,
            "AWS_DEFAULT_REGION": REGION,
        }

    def client(self) -> Any:
        """A client that may do everything, and does not wait."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id="publisher",
            aws_secret_access_key=IDENTITIES["publisher"][0],
            region_name=REGION,
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=5),
        )


class Replica(Server):
    """The service as on a machine of its own, which follows what is published at ``remote``."""

    cwd = BENTO

    def __init__(self, folder: Path, remote: str, s3: S3, store: str, port: int) -> None:
        super().__init__(folder)
        self.remote, self.s3, self.store, self.port = remote, s3, store, port
        self.follower: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        own = [str(BIN / "bentoml"), "serve", "service:RecommenderService"]
        return [*own, "--host", "127.0.0.1", "--port", str(self.port)]

    def environment(self) -> Mapping[str, str]:
        return {
            **self.s3.credentials("reader"),
            "RECSYS_REMOTE": self.remote,
            "RECSYS_RELEASES": str(self.folder / "releases"),
            "RECSYS_STORE": self.store,
            # Services with one home would add up each other's metrics.
            "BENTOML_HOME": str(self.folder / "home"),
            "BENTOML_DO_NOT_TRACK": "True",
            "OMP_NUM_THREADS": "1",
        }

    def is_ready(self) -> bool:
        return answers_at(self.port)

    def start(self) -> None:
        """Pull what is to answer, and follow it from then on."""
        environment = os.environ | dict(self.environment())
        release = [str(BIN / "recsys"), "release"]
        with (self.folder / "log").open("ab") as log:
            subprocess.run([*release, "pull"], env=environment, stdout=log, stderr=log, check=True)
            if self.follower is None:
                follow = [*release, "follow", "--every", "1"]
                self.follower = subprocess.Popen(follow, env=environment, stdout=log, stderr=log)
        super().start()

    def release(self) -> str:
        """Id of the one that answers here."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/release", timeout=5) as told:
            return str(json.load(told)["release"])

    def stop(self) -> None:
        self._leave()
        super().stop()

    def kill(self) -> None:
        self._leave()
        super().kill()

    def _leave(self) -> None:
        if self.follower is not None:
            self.follower.kill()
            self.follower.wait()
            self.follower = None


class Proxy(Server):
    """HAProxy with deploy/haproxy.cfg in front of two replicas."""

    def __init__(self, folder: Path, replicas: Sequence[Replica], port: int) -> None:
        super().__init__(folder)
        self.replicas, self.port, self.metrics_port = replicas, port, free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.control = folder / "control"

    def command(self) -> Sequence[str]:
        return [program("haproxy"), "-db", "-f", str(HERE / "haproxy.cfg")]

    def environment(self) -> Mapping[str, str]:
        one, two = self.replicas
        return {
            "HAPROXY_SOCKET": str(self.control),
            "HAPROXY_ADDRESS": f"127.0.0.1:{self.port}",
            "HAPROXY_METRICS": f"127.0.0.1:{self.metrics_port}",
            "REPLICA_ONE": f"127.0.0.1:{one.port}",
            "REPLICA_TWO": f"127.0.0.1:{two.port}",
        }

    def is_ready(self) -> bool:
        """Whether all replicas are up, as it sees them."""
        try:
            told = self.ask("show stat -1 4 -1").splitlines()
        except OSError:
            return False
        up = [line for line in told if line.startswith("replicas,") and ",UP," in line]
        return len(up) == len(self.replicas)

    def ask(self, command: str) -> str:
        """Say something to its socket: ``set server replicas/one state drain``."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.control))
            connection.sendall(f"{command}\n".encode())
            told = b""
            while part := connection.recv(1 << 16):
                told += part
        return told.decode()
