"""What redaction takes out, what it leaves, and that doing it twice changes nothing."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.seeded_secrets import IN_CONTEXT, SECRETS

from moon.config import Redact
from moon.redact import Redactor, kept_rule_set, pattern_problem, redact

KEPT = [
    "commit 3f2a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a fixes it",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "session 550e8400-e29b-41d4-a716-446655440000 went idle",
    "see /srv/app/releases/2026-11-22/config/settings.py:120",
    "max_tokens: 4096, total_tokens=128000, tokens: 12",
    "token: string, password: str, secret: boolean",
    "password = getpass.getpass()",
    "api_key = os.environ['SERVICE_KEY']",
    "token: ${{ secrets.DEPLOY_TOKEN }}",
    "password: <your password>",
    "PWD=/srv/app/current OLDPWD=/srv/app",
    "private_key: /etc/ssl/private/site.pem",
    "http://localhost:8080/@scope/package",
    "git@github.com:owner/repo.git",
    "https://example.org/path?page=2&sort=name",
    "Bearer authentication is required",
    "basic knowledge of Python",
    "the password is required for this step",
    "sk-spinner-double-bounce-container",
    "risk-assessment-for-the-quarter-2026",
    "2026-11-22T07:26:05.123Z agent:main:main",
    "openclaw@2026.9.6 and @tobilu/qmd@2.8.3",
    "chatcmpl-8f7d6a5b4c3d2e1f0a9b8c7d6e5f4a3b",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAf",
    "the key is to write tests first",
    "# login / password\nlogin_i = 0 if netrc else 1",
    "Schlüssel: wichtig; token bucket: 10/s",
]


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("frame", ["{}", "use {} now", 'KEY="{}"', "key={};", "({})", "see {}.", "x: {}\nnext line"])
def test_a_known_token_is_taken_out_wherever_it_stands(kind: str, frame: str) -> None:
    result = redact(frame.format(SECRETS[kind]))
    assert SECRETS[kind] not in result.text
    assert "[redacted:" in result.text
    assert result.total == 1


@pytest.mark.parametrize("name", IN_CONTEXT)
def test_a_secret_is_known_by_its_surroundings(name: str) -> None:
    text, secret = IN_CONTEXT[name]
    result = redact(f"before {text}\nafter")
    assert secret not in result.text
    assert result.total == 1
    assert result.text.startswith("before ")
    assert result.text.endswith("after")


@pytest.mark.parametrize("text", KEPT)
def test_what_only_looks_technical_stays(text: str) -> None:
    assert redact(text).text == text


def test_the_marker_names_the_kind() -> None:
    assert redact("push with " + SECRETS["github"]).text == "push with [redacted:github-token]"
    assert redact("a " + SECRETS["github"]).counts == {"github-token": 1}


def test_a_secret_once_given_away_is_also_taken_out_where_it_stands_bare() -> None:
    result = redact("DB_PASSWORD=q8Zr5tLmw2\nlater I typed q8Zr5tLmw2 by hand")
    assert "q8Zr5tLmw2" not in result.text
    assert result.total == 2


def test_the_url_around_a_password_stays() -> None:
    assert redact("redis://:h8Tqqw2z@cache:6379/0").text == "redis://:[redacted:url-password]@cache:6379/0"


def test_an_unfinished_key_block_is_taken_out_to_its_end() -> None:
    block = SECRETS["private-key"].rpartition("\n")[0]
    assert redact(f"cat id_rsa\n{block}").text == "cat id_rsa\n[redacted:private-key]"


def test_user_patterns_come_first_and_name_the_marker() -> None:
    result = redact("order ACME-12345 for 3", [("order-number", r"ACME-\d+")])
    assert result.text == "order [redacted:order-number] for 3"


def test_a_user_pattern_does_not_eat_a_marker() -> None:
    once = redact("x " + SECRETS["github"], [("word", r"redacted|github")])
    assert redact(once.text, [("word", r"redacted|github")]).text == once.text


@pytest.mark.parametrize(("expression", "bad"), [("(", True), ("a*", True), ("a+", False)])
def test_a_pattern_that_cannot_be_used_is_explained(expression: str, bad: bool) -> None:
    assert (pattern_problem(expression) is not None) is bad


def test_letters_that_grow_in_lower_case_do_not_shift_the_cut() -> None:
    assert redact("İİİ password=Geheim99 ok").text == "İİİ password=[redacted:password] ok"


class _Engine:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def find(self, text: str) -> list[tuple[str, str]]:
        self.seen.append(text)
        return [("house-token", "zq-0011223344556677")] if "zq-0011223344556677" in text else []


def test_the_kept_rule_set_sees_only_text_that_may_hide_a_token() -> None:
    engine = _Engine()
    redactor = Redactor(engine=lambda: engine)
    assert redactor.redact("plain words only").total == 0
    assert engine.seen == []
    assert redactor.redact("it is zq-0011223344556677 there").text == "it is [redacted:house-token] there"


def test_without_the_kept_rule_set_the_built_in_rules_still_work() -> None:
    redactor = Redactor(engine=lambda: None)
    assert redactor.redact("a long-run-of-0123456789abcdef and " + SECRETS["npm"]).counts == {"npm-token": 1}


def _kingfisher(findings: list[tuple[str, str, bool]]) -> ModuleType:
    """A stand-in for the package: (rule, secret, visible)."""
    found = [SimpleNamespace(rule_id=rule, secret=secret, visible=visible) for rule, secret, visible in findings]
    module = ModuleType("kingfisher_sdk")
    module.__dict__["Scanner"] = lambda: SimpleNamespace(scan=lambda text: found)
    return module


def test_rules_that_name_an_account_or_only_help_others_take_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = [
        ("betterleaks.pinecone-api-key.2", "pin-0123456789abcdef", True),
        ("betterleaks.azure-tenant-id", "tenant-0123456789abcdef", True),
        ("kingfisher.helper.1", "helper-0123456789abcdef", False),
        ("kingfisher.decoded.1", "not-in-the-text-012345", True),
    ]
    monkeypatch.setitem(sys.modules, "kingfisher_sdk", _kingfisher(findings))
    text = "pin-0123456789abcdef tenant-0123456789abcdef helper-0123456789abcdef"
    result = Redactor.from_config(Redact({"patterns": [], "rules": "auto"})).redact(text)
    assert result.text == "[redacted:pinecone-api-key] tenant-0123456789abcdef helper-0123456789abcdef"


def test_the_configuration_chooses_patterns_and_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kingfisher_sdk", _kingfisher([("x.house-key", "zq-0123456789abcdef", True)]))
    patterns = [{"name": "order", "pattern": r"ACME-\d+"}]
    text = "ACME-1 zq-0123456789abcdef"
    built_in = Redactor.from_config(Redact({"patterns": patterns, "rules": "builtin"}))
    both = Redactor.from_config(Redact({"patterns": patterns, "rules": "auto"}))
    assert built_in.redact(text).text == "[redacted:order] zq-0123456789abcdef"
    assert both.redact(text).text == "[redacted:order] [redacted:house-key]"


def test_a_rule_set_that_is_absent_or_does_not_start_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kingfisher_sdk", None)
    assert kept_rule_set() is None
    broken = ModuleType("kingfisher_sdk")
    broken.__dict__["Scanner"] = lambda: (_ for _ in ()).throw(RuntimeError("no cache"))
    monkeypatch.setitem(sys.modules, "kingfisher_sdk", broken)
    assert kept_rule_set() is None


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "password=",
        "-----BEGIN PRIVATE KEY-----!\n",
        "token: Ab3dEf6hIj{n}\n",
        "[redacted:secret] password=",
        "curl -u ",
        "://a:",
        "eyJhbGciOi.",
        "MTAwMDAwMDAwMDAwMDAwMDAw.",
        "0123456789abcdef",
        "the password is ",
        "/a",
    ],
)
def test_dense_text_ends_and_stays_stable(piece: str) -> None:
    text = "".join(piece.replace("{n}", str(number)) for number in range(60_000 // len(piece)))
    once = redact(text)
    assert redact(once.text).text == once.text


_PIECES = [*SECRETS.values(), *(text for text, _ in IN_CONTEXT.values()), *KEPT, "password=", "token: ", '"', "\n"]
_FRAGMENTS = st.sampled_from(_PIECES)


@given(st.lists(st.one_of(_FRAGMENTS, st.text(max_size=20)), max_size=6), st.sampled_from([" ", "", "\n", ": ", "="]))
def test_redacting_twice_changes_nothing(pieces: list[str], glue: str) -> None:
    once = redact(glue.join(pieces))
    twice = redact(once.text)
    assert twice.text == once.text
    assert twice.total == 0


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_any_text_passes(text: str) -> None:
    assert redact(text) == redact(text)
