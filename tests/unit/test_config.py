"""Configuration: every problem named at once, the environment over the file, a cache that never goes stale."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.moon import ROOT

from moon import config as configuration
from moon import schema
from moon.errors import ConfigInvalid, MoonError
from moon.paths import Home


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with nothing in it, and no MOON_ variable of the machine."""
    for name in list(os.environ):
        if name.startswith("MOON_"):
            monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    return Home(tmp_path / "home")


def write(home: Home, text: str) -> None:
    home.config_file.write_text(text, encoding="utf-8")


def refused(home: Home) -> ConfigInvalid:
    with pytest.raises(ConfigInvalid) as caught:
        configuration.load(home)
    assert caught.value.exit_code == 78 and caught.value.hint
    return caught.value


def test_defaults_are_those_of_the_design(home):
    config = configuration.load(home)
    marks = config.thresholds
    assert (marks.archive, marks.prune, marks.distill) == (0.80, 0.85, 0.90)
    assert (marks.hysteresis, marks.cooldown_seconds) == (0.05, 300)
    assert config.guard.idle_seconds == 120 and config.archive.idle_seconds == 900
    assert config.usage.providers == ["store", "cli", "estimate"]
    assert (config.prune.mode, config.rollover.mode) == ("compact", "reset")
    assert config.distill.providers == ["gemini", "openai", "local"]
    assert (config.qmd.enabled, config.qmd.index, config.qmd.collection) == ("auto", "moon", "history")
    assert config.timer.interval_seconds == 30 and config.timezone == ""


def test_every_key_of_the_schema_has_a_default_that_the_schema_accepts(home):
    shape = schema.load_schema("config")
    assert schema.problems("config", configuration.with_defaults({}, shape)) == []


def test_file_and_environment(home, monkeypatch):
    write(home, "thresholds: {archive: 0.5, prune: 0.6}\ntimezone: Europe/Berlin\nprune: {mode: off}\n")
    monkeypatch.setenv("MOON_THRESHOLDS__ARCHIVE", "0.55")
    config = configuration.load(home)
    assert (config.thresholds.archive, config.thresholds.prune, config.thresholds.distill) == (0.55, 0.6, 0.9)
    assert (config.timezone, config.prune.mode) == ("Europe/Berlin", "off")


@pytest.mark.parametrize(
    ("name", "text", "section", "key", "value"),
    [
        ("MOON_THRESHOLDS__ARCHIVE", "0.7", "thresholds", "archive", 0.7),
        ("MOON_GUARD__IDLE_SECONDS", "0", "guard", "idle_seconds", 0),
        ("MOON_INDEX__MARKDOWN", "false", "index", "markdown", False),
        ("MOON_INDEX__PROJECTION", "off", "index", "projection", "off"),
        ("MOON_INDEX__MARKDOWN", "TRUE", "index", "markdown", True),
        ("MOON_USAGE__PROVIDERS", "cli, store", "usage", "providers", ["cli", "store"]),
        ("MOON_USAGE__PROVIDERS", '["store"]', "usage", "providers", ["store"]),
        ("MOON_PRUNE__MODE", "off", "prune", "mode", "off"),
        ("MOON_ROLLOVER__MODE", "off", "rollover", "mode", "off"),
        ("MOON_QMD__ENABLED", "auto", "qmd", "enabled", "auto"),
        ("MOON_QMD__ENABLED", "true", "qmd", "enabled", True),
        ("MOON_QMD__BIN", "123", "qmd", "bin", "123"),
        ("MOON_OPENCLAW__BIN", "/opt/with space/openclaw", "openclaw", "bin", "/opt/with space/openclaw"),
        ("MOON_OPENCLAW__TIMEOUT_SECONDS", "2.5", "openclaw", "timeout_seconds", 2.5),
        (
            "MOON_REDACT__PATTERNS",
            '[{"name":"a","pattern":"x+"}]',
            "redact",
            "patterns",
            [{"name": "a", "pattern": "x+"}],
        ),
    ],
)
def test_environment_of_every_type(home, monkeypatch, name, text, section, key, value):
    monkeypatch.setenv(name, text)
    assert getattr(getattr(configuration.load(home), section), key) == value


def test_deep_keys_by_environment(home, monkeypatch):
    monkeypatch.setenv("MOON_DISTILL__CIRCUIT__FAILURES", "7")
    monkeypatch.setenv("MOON_TIMEZONE", "UTC")
    config = configuration.load(home)
    assert (config.distill.circuit.failures, config.timezone) == (7, "UTC")


@pytest.mark.parametrize("text", ["distill: 5\n", "distill: [a]\n", "distill: {circuit: text}\n"])
def test_a_variable_below_a_section_that_is_none(home, monkeypatch, text):
    write(home, text)
    monkeypatch.setenv("MOON_DISTILL__CIRCUIT__FAILURES", "7")
    assert "distill" in refused(home).message


@pytest.mark.parametrize(
    ("text", "unknown", "nearest"),
    [
        ("threshold: {archive: 0.5}", "threshold", "thresholds"),
        ("thresholds: {archve: 0.5}", "thresholds.archve", "thresholds.archive"),
        ("qmd: {enable: true}", "qmd.enable", "qmd.enabled"),
        ("distill: {circuit: {failure: 3}}", "distill.circuit.failure", "distill.circuit.failures"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(home, text, unknown, nearest):
    write(home, text)
    assert f"unknown key {unknown}, did you mean {nearest}?" in refused(home).message


def test_an_unknown_variable_is_named_with_the_nearest_known_one(home, monkeypatch):
    monkeypatch.setenv("MOON_THRESHOLDS__ARCHVE", "0.5")
    assert "MOON_THRESHOLDS__ARCHVE, did you mean MOON_THRESHOLDS__ARCHIVE?" in refused(home).message


def test_variables_that_are_no_configuration_are_left_alone(home, monkeypatch):
    for name in ("MOON_HOME", "MOON_NOW", "MOON_DEBUG", "MOON_PYTHON", "MOON_LOCK_FD", "MOON_PHASE"):
        monkeypatch.setenv(name, "1")
    assert configuration.load(home).thresholds.archive == 0.8


def test_every_problem_at_once(home, monkeypatch):
    write(
        home,
        "thresholds: {archive: high, prune: 2}\nprune: {mode: sometimes}\nusage: {providers: []}\n"
        "timer: {interval_seconds: 1}\nguess: 1\n",
    )
    monkeypatch.setenv("MOON_GUARD__IDLE_SECONDS", "-4")
    words = refused(home).message
    for place in (
        "thresholds.archive",
        "thresholds.prune",
        "prune.mode",
        "usage.providers",
        "timer.interval_seconds",
        "guess",
        "guard.idle_seconds",
    ):
        assert place in words


@pytest.mark.parametrize(
    "marks",
    [
        "{archive: 0.9, prune: 0.8}",
        "{archive: 0.85}",
        "{prune: 0.9}",
        "{prune: 0.95}",
        "{distill: 1.01}",
        "{archive: 0}",
        "{archive: -0.1}",
        "{archive: .nan}",
        "{archive: 0.01, hysteresis: 0.01}",
        "{hysteresis: .nan}",
        "{hysteresis: .inf}",
    ],
)
def test_thresholds_out_of_order_or_range(home, marks):
    write(home, f"thresholds: {marks}")
    assert "thresholds" in refused(home).message


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "0", "-1", "soon"])
def test_a_timeout_is_a_time(home, value):
    write(home, f"openclaw: {{timeout_seconds: {value}}}")
    assert "openclaw.timeout_seconds" in refused(home).message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [unclosed", "not YAML"),
        ("- a list", "mapping"),
        ("just text", "mapping"),
        ("timezone: Mars/Olympus", "Mars/Olympus"),
        ("timezone: ../../etc/passwd", "timezone"),
        ('redact: {patterns: [{name: a, pattern: "("}]}', "redact.patterns[0]"),
        ("thresholds: 5", "thresholds"),
        ("? [complex, key]\n: 1", ""),
        ("1: one\ntrue: two", "unknown key"),
        ("timezone: UTC\nqmd: {}\ntimezone: UTC", "timezone, lines 1 and 3"),
        ("copies:\n  - {url: 'file:///a', url: 'file:///b'}", "url, lines 2 and 2"),
        ("a: &a [*a, {b: 1, b: 2}]", "b, lines 1 and 1"),
    ],
)
def test_what_is_no_configuration(home, text, says):
    write(home, text)
    error = refused(home)
    assert says in error.message
    assert str(home.config_file) in (error.message + error.path)


def test_bytes_that_are_no_text(home):
    home.config_file.write_bytes(b"timezone: \xff\xfe\n")
    assert "not YAML" in refused(home).message


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "thresholds:\n", "timezone:\nqmd: {}\n", "---\n"])
def test_nothing_said_means_the_default(home, text):
    write(home, text)
    assert configuration.load(home) == configuration.load(Home(home.root / "none"))


def test_a_named_file_that_is_missing_is_an_error(home, monkeypatch):
    monkeypatch.setenv("MOON_CONFIG", str(home.root / "elsewhere.yaml"))
    assert "elsewhere.yaml" in refused(home).message
    (home.root / "elsewhere.yaml").write_text("timezone: UTC\n")
    assert configuration.load(home).timezone == "UTC"


def test_a_huge_file_is_refused(home):
    home.config_file.write_bytes(b"#" * (2 << 20))
    with pytest.raises(MoonError):
        configuration.load(home)


def test_damaged_yaml_is_one_line_with_its_place(home):
    write(home, "timezone: UTC\nthresholds:\n  archive: 0.7\n   prune: 0.8\n")
    message = refused(home).message
    assert "\n" not in message
    assert message.startswith("not YAML: line 4, column 9: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MOON_TIMEZONE", "Mars/Olympus"),
        ("MOON_THRESHOLDS__ARCHIVE", "lots"),
        ("MOON_USAGE__PROVIDERS", "store,crystal"),
        ("MOON_TRESHOLDS__ARCHIVE", "0.7"),
    ],
)
def test_a_wrong_variable_is_blamed_and_not_the_file(home, monkeypatch, name, value):
    write(home, "timezone: UTC\n")
    monkeypatch.setenv(name, value)
    error = refused(home)
    assert name in error.message
    assert error.path == "" and "moon.yaml" not in error.message + error.hint
    assert "environment variable" in error.hint


def test_a_section_names_the_variables_that_are_set_in_it(home, monkeypatch):
    write(home, "thresholds: {prune: 0.85}\n")
    monkeypatch.setenv("MOON_THRESHOLDS__ARCHIVE", "0.9")
    assert "set by the environment: MOON_THRESHOLDS__ARCHIVE" in refused(home).message


def test_a_wrong_file_is_blamed_beside_a_right_variable(home, monkeypatch):
    write(home, "timezone: Mars/Olympus\n")
    monkeypatch.setenv("MOON_THRESHOLDS__ARCHIVE", "0.7")
    assert refused(home).path == str(home.config_file)


# The cache.


def test_the_cache_is_used_and_follows_file_and_environment(home, monkeypatch):
    write(home, "timezone: UTC\n")
    assert configuration.load(home).timezone == "UTC"
    assert list(home.cache.iterdir())
    calls = []
    resolve = configuration.resolve
    monkeypatch.setattr(configuration, "resolve", lambda *given: calls.append(1) or resolve(*given))
    assert configuration.load(home).timezone == "UTC"
    assert calls == []
    write(home, "timezone: Etc/GMT-1\n")
    assert configuration.load(home).timezone == "Etc/GMT-1"
    monkeypatch.setenv("MOON_TIMEZONE", "Etc/GMT-2")
    assert configuration.load(home).timezone == "Etc/GMT-2"
    monkeypatch.delenv("MOON_TIMEZONE")
    assert configuration.load(home).timezone == "Etc/GMT-1"
    home.config_file.unlink()
    assert configuration.load(home).timezone == ""
    assert len(calls) == 4


def test_the_cache_follows_the_schema(home, tmp_path, monkeypatch):
    folder = tmp_path / "schemas"
    folder.mkdir()
    shape = schema.load_schema("config")
    for name in schema.kinds():
        (folder / f"{name}.schema.json").write_text(json.dumps(schema.load_schema(name)))
    assert configuration.load(home).timer.interval_seconds == 30
    shape["properties"]["timer"]["properties"]["interval_seconds"]["default"] = 45
    (folder / "config.schema.json").write_text(json.dumps(shape))
    monkeypatch.setattr(schema, "FOLDER", folder)
    assert configuration.load(home).timer.interval_seconds == 45


@pytest.mark.parametrize("spoiled", [b"", b"{", b"[]", b'{"key": 1}', b"\xff", b"null"])
def test_a_spoiled_cache_costs_nothing_but_time(home, spoiled):
    before = configuration.load(home)
    for path in home.cache.iterdir():
        path.write_bytes(spoiled)
    assert configuration.load(home) == before


def test_a_bad_configuration_is_never_cached(home):
    write(home, "timezone: nowhere\n")
    for _ in range(2):
        refused(home)


KEY = "sk-" + "loopback0123456789abcdef0123"


def test_no_secret_of_the_environment_comes_into_the_cache(home, monkeypatch):
    """A variable that names a model's key may begin with MOON_, and a base_url may hold a password."""
    write(home, "distill: {openai: {api_key_env: MOON_OPENAI_KEY}}\n")
    monkeypatch.setenv("MOON_OPENAI_KEY", KEY)
    monkeypatch.setenv("MOON_DISTILL__OPENAI__BASE_URL", "https://moon:Geheim4711@models.example/v1")
    monkeypatch.setenv("MOON_DISTILL__OPENAI__API_KEY_COMMAND", f"echo,{KEY}")
    monkeypatch.setenv("MOON_DISTILL__RETRIES", "4")
    first = configuration.load(home)
    written = (home.cache / "config.json").read_text()
    assert KEY not in written and "Geheim4711" not in written
    monkeypatch.setattr(configuration, "resolve", lambda *given: pytest.fail("the cache was not used"))
    assert configuration.load(home) == first
    assert first.distill.openai.api_key_command == ["echo", KEY] and first.distill.retries == 4


def test_a_file_with_a_secret_in_it_is_not_cached(home):
    write(home, "distill: {openai: {base_url: 'https://moon:Geheim4711@models.example/v1'}}\n")
    assert configuration.load(home).distill.openai.base_url.startswith("https://moon:")
    assert not (home.cache / "config.json").exists()


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "missing )"),
        ("a*", "matches the empty text"),
        (r"(?<=ticket )\d+", "look-behind (?<= and (?<! are not supported"),
        (r"(a)\1", "back-references are not supported"),
        (r"x(?!y)", "look-ahead (?= and (?! are not supported"),
        (r"(?>a+)b", "atomic groups and possessive repeats are not supported"),
    ],
)
def test_a_pattern_that_cannot_run_is_named_with_the_reason(home, pattern, why):
    write(
        home,
        json.dumps({"redact": {"patterns": [{"name": "good", "pattern": "A+"}, {"name": "own", "pattern": pattern}]}}),
    )
    message = refused(home).message
    assert "redact.patterns[1] (own): " in message and why in message and "patterns[0]" not in message


def test_without_a_home_nothing_is_made(tmp_path, home):
    away = Home(tmp_path / "not made")
    configuration.load(away)
    assert not away.root.exists()


# The file for people.


def test_the_example_file_loads_and_says_the_defaults(home):
    write(home, (ROOT / "moon.yaml.example").read_text(encoding="utf-8"))
    assert configuration.load(home) == configuration.load(Home(home.root / "none"))


def test_every_key_of_the_schema_has_a_place_in_the_values(home):
    config = configuration.load(home)
    for path in configuration.key_paths(schema.load_schema("config")):
        place = config
        for part in path:
            assert hasattr(place, part), path
            place = getattr(place, part)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
SECTIONS = ["thresholds", "guard", "usage", "prune", "distill", "qmd", "openclaw", "redact", "timezone", "other"]


@given(
    st.dictionaries(st.sampled_from(SECTIONS), JUNK, max_size=4),
    st.dictionaries(
        st.sampled_from(
            ["MOON_THRESHOLDS__ARCHIVE", "MOON_DISTILL__CIRCUIT__FAILURES", "MOON_QMD__BIN__X", "MOON_A__B"]
        ),
        st.text(max_size=8),
        max_size=2,
    ),
)
def test_whatever_is_written_is_either_understood_or_refused_in_words(values, overrides):
    try:
        resolved = configuration.resolve(json.dumps(values).encode(), overrides, "moon.yaml")
    except ConfigInvalid as error:
        assert error.message and error.hint
    else:
        assert schema.problems("config", resolved) == []


@pytest.mark.parametrize("way", ["file", "environment"])
def test_truncation_is_refused_by_name_with_the_reason_and_a_way_out(home, monkeypatch, way):
    if way == "file":
        home.config_file.parent.mkdir(parents=True, exist_ok=True)
        home.config_file.write_text("prune: {mode: truncate, max_lines: 300}\n")
    else:
        monkeypatch.setenv("MOON_PRUNE__MODE", "truncate")
        monkeypatch.setenv("MOON_PRUNE__MAX_LINES", "300")
    with pytest.raises(ConfigInvalid) as caught:
        configuration.load(home)
    said = caught.value.message
    assert "truncate is gone" in said and "keeps no copy" in said and "set compact" in said
    assert "belonged to prune.mode: truncate" in said and "did you mean" not in said and "one of" not in said
