"""Releases on S3: published whole or not at all, verified on arrival, and a pointer that everybody follows.

    <prefix>/releases/<id>/   the files of a release; its manifest is written last, and makes it one
    <prefix>/live.json        ids of the releases that were to answer, the one that is to now first

The pointer is written on condition that it is what was read before: of two who publish at once one is told.
Credentials, region and endpoint are those that boto3 finds, in the environment or in a profile.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from recsys.artifacts import replacing_folder
from recsys.release import MANIFEST, File, Manifest, Release, load, read_manifest, verify

ATTEMPTS = 5
"""At each call, with pauses that grow."""
CONNECT, READ = 5, 60
"""Seconds that a call may take."""
REMEMBERED = 100
"""Releases that the pointer names, the oldest forgotten first."""
BROKEN_AFTER = timedelta(days=1)
"""Age of an upload that was never finished from which on `Remote.prune` removes it."""
LARGEST_MANIFEST = 1 << 24
"""Bytes."""
ONE_PART = 1 << 30
"""Bytes of a file from which on it is sent in parts."""
REFUSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "403"}
MISSING = {"NoSuchKey", "NoSuchUpload", "NotFound", "404"}
LOST = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}


class RemoteError(Exception):
    """S3 does not do what is asked; the message says why, in one line."""


class ConflictError(RemoteError):
    """Somebody else was faster."""


@dataclass(frozen=True)
class Live:
    """``ids`` of the releases that were to answer, the last one first; ``tag`` of the object that says so."""

    ids: tuple[str, ...] = ()
    tag: str | None = None

    @property
    def id(self) -> str | None:
        return self.ids[0] if self.ids else None


class Remote:
    """Releases below ``s3://bucket/prefix``; RemoteError where that cannot be reached or used."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc:
            raise RemoteError(f"{url!r} is not s3://BUCKET/PREFIX")
        self.url = url
        self._bucket, self._prefix = parts.netloc, parts.path.strip("/")
        how = Config(
            retries={"max_attempts": ATTEMPTS, "mode": "standard"}, connect_timeout=CONNECT, read_timeout=READ
        )
        with self._asked():
            # A session of its own: boto3's keeps the credentials that it found first.
            self._s3 = boto3.session.Session().client("s3", config=how)

    def live(self) -> Live:
        """What the pointer says."""
        with self._asked():
            found = self._get(self._key("live.json"))
            if found is None:
                return Live()
            return Live(tuple(json.loads(found["Body"].read(LARGEST_MANIFEST))["ids"]), found["ETag"])

    def point(self, id_: str, before: Live) -> Live:
        """Let ``id_`` answer where the pointer still says what it did ``before``, else ConflictError."""
        self.manifest(id_)
        ids = (id_, *before.ids)[:REMEMBERED]
        condition = {"IfNoneMatch": "*"} if before.tag is None else {"IfMatch": before.tag}
        with self._asked():
            try:
                body = json.dumps({"ids": ids}).encode()
                done = self._s3.put_object(
                    Bucket=self._bucket, Key=self._key("live.json"), Body=body, **condition
                )
            except ClientError as error:
                if _code(error) not in LOST:
                    raise
                now = self.live()
                if now.ids == ids:  # written at an earlier attempt, whose answer was lost
                    return now
                raise ConflictError(
                    f"{self.url}: release {now.id} was made to answer meanwhile, {id_} was not; look again"
                ) from error
            return Live(ids, done["ETag"])

    def manifest(self, id_: str) -> Manifest:
        """The manifest of a release that is there, else RemoteError."""
        with self._asked():
            found = self._get(self._key("releases", id_, MANIFEST))
            content = None if found is None else found["Body"].read(LARGEST_MANIFEST)
        if content is None:
            raise RemoteError(f"{self.url}: holds no release {id_!r}")
        manifest = read_manifest(content, f"{self.url}/releases/{id_}/{MANIFEST}")
        if manifest.id != id_:
            raise RemoteError(f"{self.url}: what stands as release {id_!r} is {manifest.id!r}")
        return manifest

    def list_releases(self) -> list[Manifest]:
        """Manifests of all releases, by their newest event, then id."""
        ids = [id_ for id_, names in self._uploads().items() if MANIFEST in names]
        return sorted(map(self.manifest, ids), key=lambda each: (each.newest_event, each.id))

    def upload(self, release: Release) -> None:
        """Send a release, verified first: what is there already is not sent again, the manifest goes last."""
        verify(release.folder)
        with self._asked():
            for name, file in sorted(release.manifest.files.items()):
                key = self._key("releases", release.id, name)
                if not self._has(key, file):
                    self._send(release.folder / name, key, file)
            manifest = (release.folder / MANIFEST).read_bytes()
            self._s3.put_object(
                Bucket=self._bucket, Key=self._key("releases", release.id, MANIFEST), Body=manifest
            )

    def publish(self, release: Release, before: Live) -> None:
        """Send a release and let it answer; ConflictError where the pointer has moved since ``before``."""
        self.upload(release)
        if before.id != release.id:
            self.point(release.id, before)

    def pull(self, id_: str, into: Path) -> Release:
        """Fetch a release to ``into/<id>/``, whole and verified or not at all; at once where it is there."""
        folder = into / id_
        if (folder / MANIFEST).exists():
            return verify(folder)
        manifest = self.manifest(id_)
        with replacing_folder(folder) as temporary:
            for name in (*manifest.files, MANIFEST):
                self._fetch(self._key("releases", id_, name), temporary / name)
            verify(temporary)
        return load(folder)

    def prune(self, keep: int) -> list[str]:
        """Remove all but the ``keep`` newest, the one that answers and the one before; ids of those removed.

        And what was never finished, once it is `BROKEN_AFTER` old, parts of files too. Manifests go first:
        what is half gone is not seen.
        """
        kept = {*self.live().ids[:2], *(each.id for each in self.list_releases()[-keep:] if keep)}
        old, gone = datetime.now(UTC) - BROKEN_AFTER, []
        self._remove_parts(old)
        for id_, names in self._uploads().items():
            if id_ not in kept and (MANIFEST in names or max(names.values()) < old):
                self._remove([name for name in names if name == MANIFEST], id_)
                self._remove([name for name in names if name != MANIFEST], id_)
                gone.append(id_)
        return gone

    def _key(self, *parts: str) -> str:
        return "/".join(part for part in (self._prefix, *parts) if part)

    def _get(self, key: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._s3.get_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if _code(error) in MISSING:
                return None
            raise
        return found

    def _has(self, key: str, file: File) -> bool:
        try:
            known = self._s3.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if _code(error) in MISSING:
                return False
            raise
        return bool(known["ContentLength"] == file.size and known["Metadata"].get("sha256") == file.sha256)

    def _send(self, path: Path, key: str, file: File) -> None:
        told = {"Metadata": {"sha256": file.sha256}}
        if file.size > ONE_PART:
            told_of_parts = told | {"ChecksumAlgorithm": "SHA256"}
            self._s3.upload_file(str(path), self._bucket, key, ExtraArgs=told_of_parts)
            return
        digest = base64.b64encode(bytes.fromhex(file.sha256)).decode()  # S3 refuses what differs
        with path.open("rb") as body:
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ChecksumSHA256=digest, **told)

    def _fetch(self, key: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._asked():
            try:
                self._s3.download_file(self._bucket, key, str(path))  # which begins again where it breaks
            except ClientError as error:
                if _code(error) not in MISSING:
                    raise
                raise RemoteError(f"{self.url}: {key} is missing") from error

    def _uploads(self) -> dict[str, dict[str, datetime]]:
        """Names and dates of what is there of each release, finished or not."""
        start, found = self._key("releases", ""), dict[str, dict[str, datetime]]()
        with self._asked():
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=start + "/"
            )
            for each in (each for page in pages for each in page.get("Contents", ())):
                id_, _, name = each["Key"].removeprefix(start + "/").partition("/")
                found.setdefault(id_, {})[name] = each["LastModified"]
        return found

    def _remove(self, names: Sequence[str], id_: str) -> None:
        keys = [{"Key": self._key("releases", id_, name)} for name in names]
        with self._asked():
            for start in range(0, len(keys), 1000):  # as many as one call takes
                some = {"Objects": keys[start : start + 1000], "Quiet": True}
                failed = self._s3.delete_objects(Bucket=self._bucket, Delete=some).get("Errors")
                if failed:
                    raise RemoteError(f"{self.url}: {failed[0]['Key']} stays ({failed[0].get('Message')})")

    def _remove_parts(self, before: datetime) -> None:
        """Of files whose sending in parts began ``before`` and did not end."""
        start = self._key("releases", "") + "/"
        with self._asked():
            pages = self._s3.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=start
            )
            for each in [each for page in pages for each in page.get("Uploads", ())]:
                if each["Initiated"] < before:
                    self._abort(each["Key"], each["UploadId"])

    def _abort(self, key: str, upload: str) -> None:
        try:
            self._s3.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)
        except ClientError as error:
            if _code(error) not in MISSING:  # somebody else has done so
                raise

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Say in one line what S3 says in many ways."""
        try:
            yield
        except ClientError as error:
            code, message = _code(error), error.response.get("Error", {}).get("Message", "")
            if code in REFUSED:
                raise RemoteError(f"{self.url}: refused ({code}); are the credentials right?") from error
            raise RemoteError(f"{self.url}: {code} {message}".rstrip()) from error
        except (BotoCoreError, boto3.exceptions.Boto3Error) as error:
            raise RemoteError(f"{self.url}: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise RemoteError(f"{self.url}: what stands there is not ours ({error})") from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
