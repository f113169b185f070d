"""Copies in a bucket, through obstore: one client for S3 and what speaks like it, Google and Azure.

Endpoint, region and credentials come from the usual variables and files of each of them; none of it is Moon's business,
and none of it stands in moon.yaml or on a command line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from moon.copies.copy_errors import CopyAway, CopyDamaged, CopyExists, CopyFailed, CopyGone, CopyRefused, ObjectMissing
from moon.copies.place import Found
from moon.errors import PackageAbsent
from moon.resources import how_to_add

CONNECT = "10s"
RETRIES = 3
NO_BUCKET = re.compile(
    r"NoSuchBucket|bucket does not exist|ContainerNotFound|specified container does not exist|ContainerBeingDeleted"
)
REFUSED = re.compile(
    r"\b40[13] (?:Forbidden|Unauthorized)|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken"
    r"|InvalidToken|AuthenticationFailed|AuthorizationFailure|Account must be specified|MissingCredential"
)
AWAY = re.compile(r"error sending request|HTTP error|timed out|status code: 5\d\d|status code: 429")
NO_CREDENTIALS = re.compile(r"169\.254\.169\.254|metadata\.google\.internal|metadata/identity")
ENDPOINTS = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT",
    "GOOGLE_BASE_URL",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_ENDPOINT",
)
USUAL = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, elsewhere than at Amazon, AWS_ENDPOINT_URL",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}


class BucketPlace:
    """A prefix in a bucket. Raises `PackageAbsent` where obstore is not installed, `CopyFailed` for a wrong URL."""

    def __init__(self, url: str, seconds: float) -> None:
        self.url = url
        try:
            import obstore
            from obstore.store import from_url
        except ImportError as error:
            raise PackageAbsent(
                "a bucket needs the Python package obstore", path=url, hint=how_to_add("fleet")
            ) from error
        self._obstore: Any = obstore
        plain = any(os.environ.get(name, "").startswith("http://") for name in ENDPOINTS)
        # obstore panics where it reads the account of Azure from the environment by itself.
        account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME") if url.startswith("az:") else None
        named: dict[str, Any] = {"account_name": account} if account else {}
        try:
            self._store: Any = from_url(
                url,
                **named,
                client_options={"timeout": f"{max(1, int(seconds))}s", "connect_timeout": CONNECT, "allow_http": plain},
                retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=seconds)},
            )
        except Exception as error:
            raise self._failed(error) from error

    def create(self, name: str, data: bytes) -> None:
        try:
            self._obstore.put(self._store, name, data, mode="create")
        except Exception as error:
            if type(error).__name__ in ("AlreadyExistsError", "PreconditionError"):
                raise CopyExists(f"{name} is there already", path=self.url) from error
            raise self._failed(error) from error

    def replace(self, name: str, data: bytes) -> None:
        try:
            self._obstore.put(self._store, name, data)
        except Exception as error:
            raise self._failed(error) from error

    def get(self, name: str, limit: int) -> bytes:
        try:
            answer = self._obstore.get(self._store, name)
            if answer.meta["size"] > limit:
                raise CopyDamaged(f"{name} is larger than anything that is put there", path=self.url)
            return bytes(answer.bytes())
        except CopyDamaged:
            raise
        except Exception as error:
            if isinstance(error, FileNotFoundError) and not NO_BUCKET.search(str(error)):
                raise ObjectMissing(f"{name} is not there", path=self.url) from error
            raise self._failed(error) from error

    def delete(self, name: str) -> None:
        try:
            self._obstore.delete(self._store, name)
        except FileNotFoundError:
            return
        except Exception as error:
            raise self._failed(error) from error

    def tidy(self, prefix: str) -> None:
        return  # an object is there whole or not at all

    def list(self, prefix: str) -> Iterator[Found]:
        try:
            for batch in self._obstore.list(self._store, prefix=prefix):
                yield from (Found(each["path"], each["size"]) for each in batch)
        except Exception as error:
            raise self._failed(error) from error

    def folders(self) -> Iterator[str]:
        try:
            yield from sorted(self._obstore.list_with_delimiter(self._store)["common_prefixes"])
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> CopyFailed:
        """Words and a cause for what the client said; its own words are long, and the first line holds them."""
        said = str(error)
        first = " ".join(said.split("\n\nDebug source")[0].split())[:300]
        usual = f"the usual variables: {USUAL[self.url.partition(':')[0]]}"
        if NO_CREDENTIALS.search(said):
            return CopyRefused(
                f"no credentials for {self.url}", path=self.url, hint=f"set {usual}, as the timer sees them"
            )
        if NO_BUCKET.search(said):
            return CopyGone(
                f"there is no bucket for {self.url}", path=self.url, hint="correct the URL, or make the bucket"
            )
        if REFUSED.search(said) or type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError"):
            return CopyRefused(f"{self.url} refuses: {first}", path=self.url)
        if isinstance(error, FileNotFoundError):
            return CopyGone(f"{self.url}: {first}", path=self.url)
        if AWAY.search(said):
            return CopyAway(f"{self.url} cannot be reached: {first}", path=self.url)
        return CopyFailed(f"{self.url}: {first}", path=self.url)
