"""What redaction takes out, what it leaves, and that doing it twice changes nothing."""

from __future__ import annotations

import random
import sys
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.attack.secret_kinds import KINDS
from tests.attack.secrets import ANCHORS, CAUGHT_AT_LEAST, CLOTHINGS, attack, leaks
from tests.seeded_secrets import IN_CONTEXT, SECRETS

from moon import linear_regex, readings, secret_search
from moon.config import Redact
from moon.redact import MOST_KNOWN, Redactor, kept_rule_set, pattern_problem, redact

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
    'integrity: "sha512-Xy3Kk0v1n8m4Zq2s9P7r6T5u4W3x2Y1z0A9b8C7d6E5f4G3h2I1j0K9l8M7n6O5p4Q3r2S1t0U9v8W7x6Y5z4A=="',
    "toolu_01A09q90qw90lq917835lq9 and call_Vx8Kd2mQ7tR5bN1cZ4wE6yHs",
    "private_key: Ed25519PrivateKey, tokens = TOK_UNARY_HOP1_B64, token = node?.token1",
    "helpToken: '2. Generate a token with scopes: chat:read and chat:write'",
    "color Token: '#ddd0c0'; line 1\nabc123 follows",
    "\x1b[32mPASS\x1b[0m src/token.test.ts 12 tests\r\n",
    "C:\\temp\\new\\x3d C:\\u003d 100%3 &amp;&amp; a&#x3d;b",
    "aGVsbG8gd29ybGQsIHRoaXMgaXMgb25seSB0ZXh0IGluIEJhc2U2NA==",
    "68656c6c6f20776f726c6420746869732069732074657874",
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


@pytest.mark.parametrize("text", ["password: {}", "db_password: {}", "password => {}", "Password = {}"])
@pytest.mark.parametrize("value", ["hunter22", "kJ3mm2pq", "482133"])
def test_a_password_behind_its_name_is_taken_out(text: str, value: str) -> None:
    assert redact(text.format(value)).text == text.format("[redacted:password]")


@pytest.mark.parametrize("value", ["48213", "required", "str", "None", "a1"])
def test_what_follows_the_word_password_and_is_none_stays(value: str) -> None:
    assert redact(f"password: {value}").text == f"password: {value}"


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


@pytest.mark.parametrize("colour", ["\x1b[1;31m", "\x9b1;31m"])
def test_secrets_in_lines_that_are_not_neighbours_go_and_nothing_else(colour: str) -> None:
    clothed = [f"{secret[:9]}{colour}{secret[9:]}" for secret in (SECRETS["github"], SECRETS["npm"])]
    before = f"first\n{clothed[0]}\nplain words\nmore of them\na {clothed[1]} b\nplain\n{clothed[0]}\nlast"
    assert redact(before).text == (
        "first\n[redacted:github-token]\nplain words\nmore of them\na [redacted:npm-token] b\nplain\n"
        "[redacted:github-token]\nlast"
    )


@pytest.mark.parametrize("text", ["secret: token: {}", "password: password: {}", "api_key: secret: {}"])
def test_a_name_behind_a_name_hides_nothing(text: str) -> None:
    assert "Ab3dEf6hIj9kQ" not in redact(text.format("Ab3dEf6hIj9kQ")).text


def test_a_key_behind_an_unfinished_one_ends_where_it_ends() -> None:
    whole = SECRETS["private-key"]
    begun = "\n".join(whole.splitlines()[:2])
    assert redact(f"{begun}\n{whole}\nplain words stay").text.endswith("[redacted:private-key]\nplain words stay")


def test_the_end_of_a_key_alone_is_no_key() -> None:
    text = "-----END PRIVATE KEY-----\nfollowed by MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"
    assert redact(text).text == text


@pytest.mark.parametrize("kind", [kind for kind, secret in SECRETS.items() if "_" in secret])
def test_what_is_escaped_for_markdown_is_read_without_its_backslashes(kind: str) -> None:
    plain = f"the {SECRETS[kind]} of CI"
    assert redact(plain.replace("_", "\\_")).text == redact(plain).text != plain


@pytest.mark.parametrize("text", ["?a=1&lt=5&num=3&amp=x", "R&amp D"])
def test_a_name_without_its_semicolon_is_no_entity(text: str) -> None:
    assert {reading.text for reading in readings.readings(text)} <= {text}


def test_user_patterns_come_first_and_name_the_marker() -> None:
    result = redact("order ACME-12345 for 3", [("order-number", r"ACME-\d+")])
    assert result.text == "order [redacted:order-number] for 3"


def test_a_user_pattern_does_not_eat_a_marker() -> None:
    once = redact("x " + SECRETS["github"], [("word", r"redacted|github")])
    assert once.text == "x [redacted:github-token]"
    assert redact(once.text, [("word", r"redacted|github")]).text == once.text


def test_words_before_a_marker_give_nothing_away() -> None:
    text = "password=[redacted:password]abcd1234 token: [redacted:secret]"
    assert redact(text).text == text


def test_a_user_pattern_is_looked_for_in_every_reading_and_in_letters_of_any_script() -> None:
    patterns = [("ticket", r"заказ-\d+"), ("order", r"ACME-\d+")]
    assert redact('{"a": "x\\u0041CME-77"} \u200bзаказ-12', patterns).text == (
        '{"a": "x[redacted:order]"} \u200b[redacted:ticket]'
    )


@pytest.mark.parametrize(("expression", "bad"), [("(", True), ("a*", True), ("a+", False), (r"(?<=x)a", True)])
def test_a_pattern_that_cannot_be_used_is_explained(expression: str, bad: bool) -> None:
    assert (pattern_problem(expression) is not None) is bad


def test_without_the_engine_nothing_passes_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)
    for cached in (linear_regex.engine, linear_regex.compiled, secret_search._glance, readings._among):
        cached.cache_clear()
    with pytest.raises(linear_regex.EngineMissing) as caught:
        redact("plain words")
    assert "google-re2" in caught.value.message and "make venv" in caught.value.hint
    linear_regex.engine.cache_clear()


# Clothings.


def test_secrets_are_seen_in_every_clothing_and_counted_once() -> None:
    cases, leaked, twice = attack(KINDS, seed=2026)
    assert cases == 416 and cases - len(leaked) >= CAUGHT_AT_LEAST, leaked
    assert twice == []


_TOKEN = SECRETS["github"]


@pytest.mark.parametrize(
    ("before", "clothed", "after"),
    [
        ("\x1b[32m", _TOKEN, "\x1b[0m end"),
        ("log [1;32m", _TOKEN, "[0m end"),
        ("\x1b]8;;https://x.example\x07", _TOKEN, "\x1b]8;;\x07"),
        ('{"out": "done\\n', _TOKEN, '\\nmore"}'),
        ('{"out": "{\\"t\\": \\"x\\\\t', _TOKEN, '\\"}"}'),
        ("line=", "gh\\u0070" + _TOKEN[3:], " x"),
        ("?q=a%3D", _TOKEN, "%22&b=1"),
        ("?q=", _TOKEN.replace("_", "%5F"), "&b=1"),
        ("?q=", _TOKEN.replace("_", "%255F"), "&b=1"),
        ("<td>x&#x3d;", _TOKEN, "&quot;</td>"),
        ("$'x\\x3d", _TOKEN.replace("_", "\\137"), "'"),
        ("it is ", "\u200b".join((_TOKEN[:9], _TOKEN[9:20], _TOKEN[20:])), " there"),
        ("> see ", _TOKEN[:20] + "\n> " + _TOKEN[20:], "\n> end"),
        ("echo ", _TOKEN[:20] + "\\\n   " + _TOKEN[20:], " | x"),
        ("subject: =?", _TOKEN.replace("_", "=5F"), " =3D x"),
    ],
)
def test_only_the_secret_is_cut_out_of_its_clothing(before: str, clothed: str, after: str) -> None:
    result = redact(before + clothed + after)
    assert result.text == f"{before}[redacted:github-token]{after}"
    assert result.counts == {"github-token": 1}


@pytest.mark.parametrize("encode", ["base64", "hex", "base64 twice", "base64 in lines", "base64 in a path"])
def test_an_encoded_run_with_a_secret_in_it_is_cut_out_whole(encode: str) -> None:
    import base64

    said = f"config: {_TOKEN} and more\n".encode()
    run = {
        "base64": base64.b64encode(said).decode(),
        "hex": said.hex(),
        "base64 twice": base64.b64encode(base64.b64encode(said)).decode(),
        "base64 in lines": "\n".join(base64.encodebytes(said).decode().split()),
        "base64 in a path": "/" + base64.b64encode(said).decode(),
    }[encode]
    result = redact(f"data: {run} end")
    assert result.text == "data: [redacted:github-token] end"


def test_one_clothed_and_one_plain_secret_go_both() -> None:
    """They stand in different readings, so one look at the text is not enough."""
    result = redact(f"a \\u0067{SECRETS['github'][1:]}\nb " + SECRETS["npm"])
    assert result.text == "a [redacted:github-token]\nb [redacted:npm-token]"


def test_a_secret_that_a_cut_lays_bare_goes_too() -> None:
    """The first ends where its rule says; what is glued to it begins like a token only when it is gone."""
    glued = f"<password>Ab3dEf6hIj</password>{SECRETS['aws']}"
    result = redact(f"x={glued}")
    assert SECRETS["aws"] not in result.text and "Ab3dEf6hIj" not in result.text


def test_what_is_wrapped_next_to_a_whole_secret_stays() -> None:
    lines = [SECRETS["aws"], "API2_HOST=db7.example", SECRETS["npm"], "2026-11-24 10:12 deploy", "v1.2.3 released"]
    taken = ["[redacted:aws-access-key]", lines[1], "[redacted:npm-token]", *lines[3:]]
    assert redact("\n".join(lines)).text == "\n".join(taken)


def test_a_short_value_is_no_secret_elsewhere() -> None:
    assert redact("DB_PASSWORD=q8Zr5tL\nso q8Zr5tL").text == "DB_PASSWORD=[redacted:password]\nso q8Zr5tL"
    assert redact("DB_PASSWORD=q8Zr5tLm\nso q8Zr5tLm").text == "DB_PASSWORD=[redacted:password]\nso [redacted:password]"
    assert redact("DB_PASSWORD=onlyletters\nonlyletters").text == "DB_PASSWORD=[redacted:password]\nonlyletters"


def test_the_first_hundred_values_are_looked_for_elsewhere() -> None:
    values = [f"Ab3dEf6h{number:03}" for number in range(MOST_KNOWN + 20)]
    named = "".join(f"token: {value}\n" for value in values)
    left = redact(f"{named}all: {' '.join(values)}").text
    assert [value for value in values if value in left] == values[MOST_KNOWN:]
    assert MOST_KNOWN == 100


# Work.


def _work(monkeypatch: pytest.MonkeyPatch, text: str) -> int:
    """How many bytes the engine went over, and how many characters were read in all readings."""
    done = [0]
    search, prepared = linear_regex.ByteSearch.search, readings.Reading.__init__

    def counted(self: linear_regex.ByteSearch, data: bytes, position: int = 0) -> linear_regex.Spans | None:
        spans = search(self, data, position)
        done[0] += (spans[0][1] if spans else len(data)) - position + 50
        return spans

    def read(self: readings.Reading, text: str, *given: object) -> None:
        done[0] += len(text)
        prepared(self, text, *given)

    with monkeypatch.context() as patch:
        patch.setattr(linear_regex.ByteSearch, "search", counted)
        patch.setattr(readings.Reading, "__init__", read)
        redact(text)
    return done[0]


@pytest.mark.parametrize("anchor", ANCHORS)
def test_work_grows_with_the_length_of_the_text_only(monkeypatch: pytest.MonkeyPatch, anchor: str) -> None:
    short, long = (_work(monkeypatch, anchor * (size // len(anchor))) for size in (16_000, 64_000))
    assert long < 4.8 * short + 20_000


def test_work_is_bounded_where_every_cut_lays_bare_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain made to go on for ever: each secret is known by the end of the one before it."""
    link = "AIza" + "Xy7" * 12
    short, long = (_work(monkeypatch, link * number) for number in (100, 400))
    assert long < 4.8 * short + 20_000


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


@given(st.integers(), st.sampled_from(sorted(KINDS)), st.sampled_from(sorted(CLOTHINGS)), st.text(max_size=30))
def test_clothed_secrets_go_at_once_and_for_good(seed: int, kind: str, clothing: str, around: str) -> None:
    generator = random.Random(seed)
    text, secret = KINDS[kind](generator)
    once = redact(CLOTHINGS[clothing](generator, text, secret) + "\n" + around)
    assert redact(once.text).text == once.text
    assert clothing == "wrapped" or not leaks(secret, once.text)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_any_text_passes(text: str) -> None:
    assert redact(text) == redact(text)


@given(st.text(alphabet=st.sampled_from("\\u0074n%3D&#x;=+\x1b[m\u200b\ud800\n aZ9_-'\"`密码："), max_size=60))
def test_a_reading_leads_back_to_where_it_came_from(text: str) -> None:
    for reading in readings.readings(text):
        assert len(reading.data) == len(reading.text)
        last = 0
        for place in range(len(reading.text)):
            start, end = reading.origin(place, place + 1)
            assert last <= start < end <= len(text) or reading.text[place] == ";"
            last = start


# What clothes a text, and letters to clothe; long enough for every kind of clothing to come up.
_PIECES = st.sampled_from(
    ["\\", "n", "u0041", "x41", "101", "%4", "1", "%", "+", "=", "=3D", "=\n", "&", "amp;", "#65;", "#x41;", "?a="]
    + ["[", "3", "1m", "\x1b[", "31m", "m", "\0", "\x7f", "\x9b", "\u200b", "\u00ad", "\n", "\r\n", "\n> ", "abcd"]
    + ["Ab1", "x2=", " ", "é", "\uff21"]
)


@given(st.lists(_PIECES, max_size=12).map("".join))
def test_one_look_says_whether_a_text_can_be_read_in_another_way(text: str) -> None:
    """The pass over all signs at once leaves nothing out that undoing layer by layer would find."""
    reading = readings.Reading(readings.with_stand_ins(text))
    is_other = readings._joined(reading) != reading.text or readings._without_a_layer(reading) != reading.text
    if is_other:
        assert reading.signs or not text.isascii()
        assert len(readings.readings(text)) > 1
