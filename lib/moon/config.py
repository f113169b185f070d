"""Configuration: read → environment → schema → cross-field checks → a frozen value.

`schemas/config.schema.json` is the one source of keys, types and defaults. The result is cached with a digest of all
it came from, because an idle tick can not afford to import YAML and jsonschema. What could be a secret is not: free
text from the environment is asked for again, and a file in which something looks like a secret is read each time.

Annotations are evaluated here (no `from __future__ import annotations`): a section finds its sub-sections by them.
"""

import functools
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from moon import __version__, schema
from moon.clock import zone
from moon.digests import blake2b
from moon.errors import ConfigInvalid, MoonError
from moon.files import read_bounded, write_atomic
from moon.paths import Home
from moon.trust import NotTrusted, refuse_what_others_write

Values = dict[str, Any]
# Variables that steer Moon itself and are no configuration keys.
RESERVED = frozenset({"MOON_HOME", "MOON_CONFIG", "MOON_NOW", "MOON_PYTHON", "MOON_DEBUG", "MOON_LOCK_FD"})


class Section:
    """A part of the configuration: its fields are its annotations, and nothing changes once it is made.

    Plain classes, because an idle tick notices how long frozen dataclasses take to be made, and because named tuples
    can have no key `index`.
    """

    def __init__(self, values: Values) -> None:
        for name, kind in type(self).__annotations__.items():
            is_section = isinstance(kind, type) and issubclass(kind, Section)
            self.__dict__[name] = kind(values[name]) if is_section else values[name]

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"configuration does not change: {name}")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.__dict__})"


class Thresholds(Section):
    archive: float
    prune: float
    distill: float
    hysteresis: float
    cooldown_seconds: int


class Guard(Section):
    idle_seconds: int
    require_copy: bool


class Usage(Section):
    providers: list[str]
    max_age_seconds: int


class Archive(Section):
    idle_seconds: int
    compress_from_bytes: int
    cool_days: int


class SharedDatabase(Section):
    url_env: str
    url_command: list[str]
    timeout_seconds: float
    budget_seconds: float


class Index(Section):
    engine: str
    postgresql: SharedDatabase
    attempts: int
    projection: str
    markdown: bool | None


class Prune(Section):
    mode: str


class Rollover(Section):
    mode: str
    max_tokens: int


class Circuit(Section):
    failures: int
    open_seconds: int


class Budget(Section):
    calls_per_day: int
    tokens_per_day: int
    calls_per_cycle: int
    tokens_per_cycle: int


class ModelProvider(Section):
    models: list[str]
    base_url: str
    api_key_env: str
    api_key_command: list[str]


class Distill(Section):
    providers: list[str]
    pending: str
    timeout_seconds: float
    retries: int
    chunk_tokens: int
    output_tokens: int
    tool_result_chars: int
    prompts: str
    local_chars: int
    circuit: Circuit
    budget: Budget
    gemini: ModelProvider
    openai: ModelProvider


class Qmd(Section):
    enabled: str | bool
    bin: str
    index: str
    collection: str
    timeout_seconds: float


class Semantic(Section):
    source: str
    folder: str
    languages: list[str]
    question_prefix: str
    text_prefix: str
    model: str
    base_url: str
    api_key_env: str
    api_key_command: list[str]
    timeout_seconds: float
    budget_seconds: float


class RecallSettings(Section):
    host: str
    semantic: Semantic


class OpenClaw(Section):
    bin: str
    state_dir: str
    timeout_seconds: float
    action_timeout_seconds: float


class Paths(Section):
    memory: str


class Redact(Section):
    patterns: list[dict[str, str]]
    rules: str


class Timer(Section):
    interval_seconds: int


class Notify(Section):
    command: list[str]
    events: list[str]
    after_ticks: int
    timeout_seconds: float


class Retention(Section):
    cycles_days: int
    delete: str
    days: int
    require_copy: bool


class Disk(Section):
    budget_mb: int


class Config(Section):
    """What moon.yaml and the environment say, with every default filled in."""

    thresholds: Thresholds
    guard: Guard
    usage: Usage
    archive: Archive
    index: Index
    prune: Prune
    rollover: Rollover
    distill: Distill
    qmd: Qmd
    recall: RecallSettings
    openclaw: OpenClaw
    paths: Paths
    redact: Redact
    timer: Timer
    notify: Notify
    retention: Retention
    disk: Disk
    copies: list[Values]
    policies: list[Values]
    timezone: str


def load(home: Home) -> Config:
    """Read the configuration of this home. Raises `ConfigInvalid` with every problem at once, `NotTrusted`."""
    refuse_what_others_write(home.root, "MOON_HOME")
    data = _read_file(home)
    overrides = {name: value for name, value in os.environ.items() if name.startswith("MOON_") and name not in RESERVED}
    key = _cache_key(data, overrides)
    values = _cached(home, key)
    if values is None:
        values = resolve(data, overrides, str(home.config_file))
        _cache(home, key, values, overrides)
    return Config(values)


def load_to_read(home: Home) -> tuple[Config, MoonError | None]:
    """For tools that change nothing: a configuration in any case, and what is wrong with the one there is.

    In place of one that cannot be read or understood comes the last that could, or the defaults. Raises `NotTrusted`:
    what somebody else wrote is no typing error.
    """
    try:
        return load(home), None
    except NotTrusted:
        raise
    except MoonError as error:
        return Config(_last_valid(home) or resolve(b"", {}, "")), error


def _last_valid(home: Home) -> Values | None:
    """The values that were kept last, those from the environment asked for again."""
    plain = resolve(b"", {}, "")
    try:
        cached = json.loads(read_bounded(home.cache / "config.json"))
        values: Values = cached["values"]
        for name, (path, target) in cached["environment"].items():
            text = os.environ.get(name)
            _put(values, path, _get(plain, path) if text is None else _from_text(text, target))
    except (OSError, MoonError, ValueError, LookupError, TypeError, AttributeError):
        return None
    shape = schema.load_schema("config")
    return None if schema.problems("config", values) or [*unknown_keys(values, shape)] else values


def _get(values: Values, path: list[str]) -> Any:
    for part in path:
        values = values[part]
    return values


def defaults() -> Config:
    """The configuration of somebody who configured nothing."""
    return Config(resolve(b"", {}, ""))


def _read_file(home: Home) -> bytes:
    refuse_what_others_write(home.config_file.parent, "the folder of the configuration")
    refuse_what_others_write(home.config_file, "the configuration")
    try:
        return read_bounded(home.config_file, 1 << 20)
    except FileNotFoundError:
        if "MOON_CONFIG" in os.environ:
            raise ConfigInvalid(
                f"no configuration at {home.config_file}",
                path=str(home.config_file),
                hint="MOON_CONFIG names it: correct or unset it, or copy moon.yaml.example there",
            ) from None
        return b""


def _cache_key(data: bytes, overrides: Mapping[str, str]) -> str:
    """A digest of everything that the values depend on: a key of a model can be among the variables."""
    stat = (schema.FOLDER / "config.schema.json").stat()
    text = data.decode("utf-8", "backslashreplace")
    parts = [__version__, stat.st_mtime_ns, stat.st_size, text, sorted(overrides.items())]
    return blake2b(json.dumps(parts).encode()).hexdigest()


def _cached(home: Home, key: str) -> Values | None:
    try:
        cached = json.loads(read_bounded(home.cache / "config.json"))
        if cached["key"] != key:
            return None
        for name, (path, target) in cached["environment"].items():
            _put(cached["values"], path, _from_text(os.environ[name], target))
        return dict(cached["values"])
    except (OSError, MoonError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _cache(home: Home, key: str, values: Values, overrides: Mapping[str, str]) -> None:
    """Keep the values, but for free text from the environment; none of them where one looks like a secret."""
    if not home.root.is_dir():
        return
    kept, asked = json.loads(json.dumps(values)), {}
    shape = schema.load_schema("config")
    for name in overrides:
        path = _path_of(name)
        target = _at(shape, path)
        if target is not None and (target.get("type") == "array" or _is_free_text(target)):
            _put(kept, path, None)
            asked[name] = (path, {"type": target["type"]})
    if _holds_a_secret(kept):
        return
    try:
        write_atomic(home.cache / "config.json", json.dumps({"key": key, "values": kept, "environment": asked}))
    except MoonError:
        return


def _holds_a_secret(values: Values) -> bool:
    from moon.linear_regex import EngineMissing
    from moon.redact import redact

    try:
        return redact(json.dumps(values)).total > 0
    except EngineMissing:
        return True


def resolve(data: bytes, overrides: Mapping[str, str], source: str) -> Values:
    """Plain values from YAML bytes and MOON_ variables, checked. Raises `ConfigInvalid`."""
    shape = schema.load_schema("config")
    values: Values = _off_as_word(_parse_yaml(data, source), shape)
    found = [*_apply_overrides(values, overrides, shape), *_take_out_truncation(values)]
    found += [*unknown_keys(values, shape), *schema.problems("config", _known_only(values, shape)), *endless(values)]
    if not found:
        values = with_defaults(values, shape)
        found = cross_check(values)
    if found:
        raise _not_understood(list(dict.fromkeys(found)), overrides, source)
    return values


def _not_understood(found: list[str], overrides: Mapping[str, str], source: str) -> ConfigInvalid:
    """The error for these problems, each blamed on what it stands in: the file, or a variable that wins over it."""
    blamed = [_blamed(sentence, sorted(overrides)) for sentence in found]
    message = "configuration not understood: " + "; ".join(blamed)
    if all(sentence.removeprefix("unknown key ").startswith("MOON_") for sentence in blamed):
        hint = "correct or unset the environment variable; docs/configuration.md shows every key; nothing was changed"
        return ConfigInvalid(message, hint=hint)
    return ConfigInvalid(message, path=source, hint="moon.yaml.example shows every key; nothing was changed")


def _blamed(sentence: str, variables: list[str]) -> str:
    """A problem by the name of the variable that made it; of a whole section, with the variables that are set in it."""
    place = sentence.partition(":")[0].partition("[")[0]
    keys = {name: name.removeprefix("MOON_").lower().replace("__", ".") for name in variables}
    for name, key in keys.items():
        if key == place:
            return f"{name}: {sentence}"
    within = [name for name, key in keys.items() if key.startswith(f"{place}.")]
    return f"{sentence} (set by the environment: {', '.join(within)})" if within else sentence


def _parse_yaml(data: bytes, source: str) -> Values:
    if not data.strip():
        return {}
    import yaml

    try:
        loader = yaml.SafeLoader(data)
        tree = loader.get_single_node()
        twice = _twice(tree)
        values = None if tree is None else loader.construct_document(tree)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        words = _yaml_problem(getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error))
        raise ConfigInvalid(f"not YAML: {words}", path=source, hint="compare it with moon.yaml.example") from error
    if twice:
        raise ConfigInvalid(
            f"only the last of two would count: {twice}", path=source, hint="put what belongs to both below one of them"
        )
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigInvalid(
            f"a mapping of keys is expected, not a {type(values).__name__}", path=source, hint="see moon.yaml.example"
        )
    return _without_empty(values)


def _twice(tree: Any) -> str:
    """`copies, lines 3 and 9` for a key that one mapping of a YAML tree has twice; empty where none has.

    YAML's reader keeps the last one without a word, so a section that was appended would take the first out of force.
    """
    waiting: list[Any] = [tree]
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        inside = getattr(node, "value", None)
        if id(node) in seen or not isinstance(inside, list):
            continue
        seen.add(id(node))  # aliases: a node can stand in many places, also within itself
        pairs = [each for each in inside if isinstance(each, tuple)]
        waiting += [each for pair in pairs for each in pair] if pairs else inside
        found = _repeated([key for key, _ in pairs])
        if found:
            return found
    return ""


def _repeated(keys: list[Any]) -> str:
    """The first of these keys, YAML nodes, that is there twice, with its lines counted from 1."""
    lines: dict[str, int] = {}
    for key in keys:
        if not isinstance(key.value, str) or key.tag == "tag:yaml.org,2002:merge":
            continue
        line = key.start_mark.line + 1
        if key.value in lines:
            return f"{key.value}, lines {lines[key.value]} and {line}"
        lines[key.value] = line
    return ""


def _yaml_problem(mark: Any, problem: str) -> str:
    """`line 3, column 7: mapping values are not allowed here`: one line, counted from 1."""
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    return where + " ".join(problem.split())


def _without_empty(values: Values) -> Values:
    """Drop keys with nothing behind them: `timezone:` alone means the default, as does an empty section."""
    kept = {str(key): _without_empty(value) if isinstance(value, dict) else value for key, value in values.items()}
    return {key: value for key, value in kept.items() if value is not None}


def _off_as_word(value: Any, shape: Values, whole: Values | None = None) -> Any:
    """YAML reads a bare `off` as false; where the word is one of the choices, the word is meant."""
    whole = shape if whole is None else whole
    if "$ref" in shape:
        shape = functools.reduce(dict.__getitem__, shape["$ref"].removeprefix("#/").split("/"), whole)
    if isinstance(value, dict):
        known = shape.get("properties", {})
        return {name: _off_as_word(each, known.get(name, {}), whole) for name, each in value.items()}
    if isinstance(value, list):
        return [_off_as_word(each, shape.get("items", {}), whole) for each in value]
    return "off" if value is False and "off" in shape.get("enum", []) else value


def _apply_overrides(values: Values, overrides: Mapping[str, str], shape: Values) -> Iterator[str]:
    for name, text in sorted(overrides.items()):
        path = _path_of(name)
        target = _at(shape, path)
        if target is None:
            if len(path) > 1:
                yield _unknown(name, [f"MOON_{'__'.join(known).upper()}" for known in key_paths(shape)])
            continue
        _put(values, path, _from_text(text, target))


def _path_of(variable: str) -> list[str]:
    """`MOON_DISTILL__TIMEOUT_SECONDS` → `["distill", "timeout_seconds"]`."""
    return variable.removeprefix("MOON_").lower().split("__")


def _put(values: Values, path: list[str], value: Any) -> None:
    place: Any = values
    for part in path[:-1]:
        place = place.setdefault(part, {}) if isinstance(place, dict) else None
    if isinstance(place, dict):
        place[path[-1]] = value


def _at(shape: Values, path: list[str]) -> Values | None:
    for part in path:
        shape = shape.get("properties", {}).get(part)
        if shape is None:
            return None
    return None if "properties" in shape else shape


def key_paths(shape: Values, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every configuration key as a tuple of its path."""
    for name, sub in shape.get("properties", {}).items():
        if "properties" in sub:
            yield from key_paths(sub, (*prefix, name))
        else:
            yield (*prefix, name)


def _from_text(text: str, shape: Values) -> Any:
    """The value that a variable's text means for a key of this type; the text itself when it means none."""
    if _is_free_text(shape):
        return text
    if shape.get("type") == "array" and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return json.loads(text)
    except ValueError:
        return text


def _take_out_truncation(values: Values) -> Iterator[str]:
    """A sentence for a mode of earlier versions that broke a promise; the rest is then judged without it."""
    prune = values.get("prune")
    if isinstance(prune, dict) and prune.get("mode") == "truncate":
        del prune["mode"]
        yield (
            "prune.mode: truncate is gone, because OpenClaw then also deletes what arrived after the archive was "
            "checked, and keeps no copy; set compact (OpenClaw summarises the older part and deletes nothing) or off"
        )


def _is_free_text(shape: Values) -> bool:
    return shape.get("type") == "string" and "enum" not in shape


def unknown_keys(values: Values, shape: Values, prefix: str = "") -> Iterator[str]:
    """A sentence for each key that the schema does not know, with the nearest one that it does."""
    known = shape.get("properties")
    if known is None or not isinstance(values, dict):
        return
    for name, value in values.items():
        if name not in known:
            yield _unknown(f"{prefix}{name}", [f"{prefix}{each}" for each in known])
        else:
            yield from unknown_keys(value, known[name], f"{prefix}{name}.")


def endless(values: Values, prefix: str = "") -> Iterator[str]:
    """A sentence for each number that is none: YAML has `.nan` and `.inf`, and a schema's bounds let them pass."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from endless(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            for number, each in enumerate(value):
                yield from endless(each, f"{prefix}{name}[{number}].") if isinstance(each, dict) else ()
        elif isinstance(value, float) and value - value != 0:
            yield f"{prefix}{name}: a finite number is needed, not {value}"


def _unknown(name: str, known: list[str]) -> str:
    if name in ("prune.max_lines", "MOON_PRUNE__MAX_LINES"):
        return f"{name} belonged to prune.mode: truncate, which is gone: remove it"
    close = schema.nearest(name, known)
    return f"unknown key {name}" + (f", did you mean {close}?" if close else "")


def _known_only(values: Any, shape: Values) -> Any:
    known = shape.get("properties")
    if known is None or not isinstance(values, dict):
        return values
    return {name: _known_only(value, known[name]) for name, value in values.items() if name in known}


def with_defaults(values: Values, shape: Values) -> Values:
    """Fill in what is not said, from the schema's `default`s."""
    filled: Values = {}
    for name, sub in shape["properties"].items():
        if "properties" in sub:
            filled[name] = with_defaults(values.get(name, {}), sub)
        else:
            filled[name] = values.get(name, sub["default"])
    return filled


def cross_check(values: Values) -> list[str]:
    """What no schema can say: the order of thresholds, a time zone that exists, patterns that compile."""
    found = [*_wrong_marks(values["thresholds"], "thresholds")]
    for number, policy in enumerate(values["policies"]):
        marks = {**values["thresholds"], **policy.get("thresholds", {})}
        found += _wrong_marks(marks, f"policies[{number}].thresholds")
    semantic = values["recall"]["semantic"]
    if semantic["source"] == "folder" and not semantic["folder"]:
        found.append("recall.semantic.folder: source: folder needs the folder that holds model.onnx and tokenizer.json")
    if values["recall"]["host"] != "own" and values["index"]["engine"] != "postgresql":
        found.append("recall.host: other machines can be asked only with index.engine: postgresql")
    try:
        zone(values["timezone"])
    except LookupError as error:
        found.append(f"timezone: {error}")
    return [*found, *_wrong_copies(values), *_unusable_patterns(values["redact"]["patterns"])]


def _wrong_copies(values: Values) -> Iterator[str]:
    """What is wrong with the places of copies: what leaves the machine is sealed to somebody."""
    copies = values["copies"]
    if values["guard"]["require_copy"] and not copies:
        yield "guard.require_copy: there are no copies; name one in copies"
    for number, copy in enumerate(copies):
        url, place = copy["url"], f"copies[{number}]"
        scheme = url.partition("://")[0]
        if scheme not in ("file", "s3", "gs", "az") or not url.partition("://")[2]:
            yield f"{place}.url: file:///folder, s3://, gs:// or az:// is needed, not {url}"
        elif copy.get("encrypt") != "off" and not copy.get("recipients"):
            yield f"{place}.recipients: who can open it? age1…, or a public SSH key; `moon-mirror --init` makes one"
        elif copy.get("encrypt") == "off" and scheme != "file":
            yield f"{place}.encrypt: off is for a disk of one's own (file://), not for {scheme}://"
        if "@" in url.partition("://")[2].partition("/")[0] or "?" in url:
            yield f"{place}.url: holds more than a place; keys do not go in here"
    urls = [copy["url"].rstrip("/") for copy in copies]
    yield from (f"copies: {url} is named twice" for url in dict.fromkeys(urls) if urls.count(url) > 1)


def _wrong_marks(marks: Values, place: str) -> Iterator[str]:
    """What is wrong with the order of thresholds, those of a policy together with those it leaves as they are."""
    if not marks["archive"] < marks["prune"] < marks["distill"]:
        yield (
            f"{place}: 0 < archive < prune < distill <= 1 is needed, "
            f"not {marks['archive']}, {marks['prune']}, {marks['distill']}"
        )
    if marks["hysteresis"] >= marks["archive"]:
        yield f"{place}.hysteresis: must be smaller than {place}.archive"


def _unusable_patterns(patterns: list[dict[str, str]]) -> list[str]:
    """A sentence for each pattern of the user that cannot run; without the engine nothing is redacted with any."""
    if not patterns:
        return []
    from moon.linear_regex import EngineMissing
    from moon.redact import pattern_problem

    try:
        problems = [pattern_problem(pattern["pattern"]) for pattern in patterns]
    except EngineMissing:
        return []
    named = enumerate(zip(patterns, problems, strict=True))
    return [f"redact.patterns[{number}] ({each['name']}): {said}" for number, (each, said) in named if said]
