"""The topology as processes of this machine, until it is interrupted: `make stack`.

Two replicas of the service behind HAProxy, Redis, and S3, on which the live release of artifacts/releases is
published and which the replicas follow: what compose.yaml runs in containers, but for Prometheus and Grafana.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from processes import BIN, BUCKET, S3, Proxy, Redis, Replica, ServerError, free_port

from recsys.release import ReleaseError, live_release

REMOTE = f"s3://{BUCKET}/releases"


@dataclass(frozen=True)
class Stack:
    """What runs; each part can be stopped and started."""

    s3: S3
    redis: Redis
    replicas: tuple[Replica, Replica]
    proxy: Proxy

    @classmethod
    def in_folder(cls, folder: Path, port: int) -> Stack:
        """Nothing runs yet."""
        s3, redis = S3(folder / "s3"), Redis(folder / "redis")
        one, two = (Replica(folder / name, REMOTE, s3, redis.url, free_port()) for name in ("one", "two"))
        return cls(s3, redis, (one, two), Proxy(folder / "proxy", (one, two), port))

    def publish(self, release: Path) -> None:
        """Let the release in this folder answer."""
        command = [str(BIN / "recsys"), "release", "publish", str(release), "--no-gate", "--remote", REMOTE]
        environment = os.environ | self.s3.credentials()
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)

    @contextmanager
    def running(self, release: Path) -> Iterator[Stack]:
        """All of it, with this release."""
        try:
            self.s3.start()
            self.redis.start()
            self.publish(release)
            for each in self.replicas:
                each.start()
            self.proxy.start()
            yield self
        finally:
            for part in (self.proxy, *self.replicas, self.redis, self.s3):
                part.stop()


def main() -> int:
    """Run until somebody ends it; 2 where it cannot."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--releases", type=Path, default=Path("artifacts/releases"), help="(default: %(default)s)"
    )
    parser.add_argument("--port", type=int, default=3000, help="(default: %(default)s)")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        try:
            release = live_release(arguments.releases).folder.resolve()
            with Stack.in_folder(Path(folder), arguments.port).running(release) as stack:
                _tell(stack)
                input()
        except (ServerError, ReleaseError) as error:
            print(f"stack: {error}", file=sys.stderr)
            return 2
        except (KeyboardInterrupt, EOFError):
            pass
    return 0


def _tell(stack: Stack) -> None:
    one, two = stack.replicas
    lines = [
        f"the page, through HAProxy   {stack.proxy.url}",
        f"its metrics                 http://127.0.0.1:{stack.proxy.metrics_port}/metrics",
        f"its socket                  {stack.proxy.control}",
        f"replicas                    http://127.0.0.1:{one.port} http://127.0.0.1:{two.port}",
        f"Redis                       {stack.redis.url}",
        f"S3                          {stack.s3.endpoint} {REMOTE}",
        "",
        "to publish from another shell:",
        *(f"export {name}={value}" for name, value in stack.s3.credentials().items()),
        f"recsys release publish ID --remote {REMOTE}",
        "",
        "Enter or Ctrl-C ends it.",
    ]
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    sys.exit(main())
