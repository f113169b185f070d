"""An HTTP endpoint that speaks OpenAI's protocol: one bounded request at a time, with the key in its header only."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

from moon.model.model_keys import KeySource, read_key
from moon.model.model_port import MAX_ANSWER_BYTES, AnswerUnusable, ModelBroken, ModelTimeout, ProviderAbsent

DEFAULT_URL = "https://api.openai.com/v1"


class Endpoint:
    """A base URL and a key. Raises `ProviderAbsent` when there is neither."""

    def __init__(self, base_url: str, keys: KeySource) -> None:
        base = base_url or os.environ.get("OPENAI_BASE_URL", "").strip()
        self._key = read_key(keys)
        if not self._key and not base:
            raise ProviderAbsent(f"no key in {keys.api_key_env} and no base_url")
        self.url = (base or DEFAULT_URL).rstrip("/")

    def post(self, path: str, payload: Mapping[str, Any], deadline: float) -> tuple[int, Any, bytes]:
        """Send JSON; (status, headers, body). `deadline` is of the monotonic clock. Raises `ModelFailed`."""
        try:
            import requests
        except ImportError as error:
            raise ProviderAbsent("the package requests is not installed") from error
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        left = max(0.1, deadline - time.monotonic())
        try:
            with requests.post(
                f"{self.url}{path}",
                data=json.dumps(payload).encode(),
                headers=headers,
                auth=self._authorize,
                timeout=(min(10.0, left), left),
                stream=True,
                allow_redirects=False,
            ) as response:
                return response.status_code, response.headers, _read(response.iter_content(65536), deadline)
        except requests.Timeout as error:
            raise ModelTimeout("no answer in time") from error
        except (requests.RequestException, UnicodeError) as error:
            raise ModelBroken(f"the connection failed ({type(error).__name__})") from error

    def _authorize(self, request: Any) -> Any:
        """Put the key in. That this is said at all keeps requests from sending what ~/.netrc has for the host."""
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def _read(chunks: Any, deadline: float) -> bytes:
    """A body of bounded size, within the time that is left, however slowly it drips."""
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise AnswerUnusable("the answer is larger than Moon reads")
        if time.monotonic() > deadline:
            raise ModelTimeout("the answer did not end in time")
    return bytes(body)
