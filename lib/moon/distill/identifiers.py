"""What must survive a summary letter by letter: paths, hashes, versions, ids, addresses, amounts, commands."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

_UNITS = (
    r"(?:ms|s|sec|seconds?|min|minutes?|h|hours?|days?|weeks?|months?|years?|[kKMGT]i?B|bytes|bits?|Mbit/s|Gbit/s|%|km/h|km|m²|m|cm"
    r"|mm|kg|g|mg|ml|l|°C|°F|K|rpm|req/s|rps|qps|tokens?|rows?|users?|people|persons?|px|W|kW|kWh|mAh|V|Hz|GHz|MHz|vCPU|cores?|Stunden|Tage"
    r"|Wochen|Minuten|Personen|heures|jours|semaines|horas|días|semanas|personnes|personas|hPa|kPa|mbar|bar|dBm?|mA|Ah|A|C|F)"
    r"(?:/(?:s|sec|min|h|hour|d|day|week|mo|month|y|year|kg|l|m))?"
)
_EXTENSIONS = (
    "py|pyi|ts|tsx|js|jsx|mjs|json|jsonl|ya?ml|toml|md|sh|bash|zsh|sql|sqlite|db|conf|cfg|ini|env|rs|go|java|kt|c|h|cc|cpp|rb|php|html|css"
    "|txt|csv|tsv|log|service|timer|plist|lock|pdf|docx?|xlsx?|png|jpe?g|svg|zip|tar|gz|zst|xml|tf|bib|tex|ipynb|vue|ics|pem|crt"
)
_PATTERNS: tuple[tuple[str, str], ...] = (
    ("url", r"\b[a-z][a-z0-9+.-]*://[^\s<>\"'`)\]}|]+"),
    ("uuid", r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"),
    ("package", r"(?<![\w/])@?[a-z][\w./-]*@\^?~?\d+(?:\.\d+)*[\w.-]*|\b[a-zA-Z][\w.-]*==\d+(?:\.\d+)+[\w.]*"),
    ("email", r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b"),
    ("digest", r"\bsha(?:1|256|512)[:-][0-9A-Za-z+/=]{8,}"),
    ("path", r"(?<![\w:/.])(?:~|\.{1,2})?/[\w.@+%-]+(?:/[\w.@+%:-]+)+/?|(?<![\w/])~/[\w.-]+|\b[A-Z]:\\[\w\\.-]+"),
    (
        "file",
        rf"(?<![\w/])(?:[\w.@-]+/)*[\w@-][\w.@-]*\.(?:{_EXTENSIONS})\b(?::\d+)?|(?<![\w/])(?:[\w.-]+/){{2,}}[\w.-]+",
    ),
    (
        "address",
        r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5}|/\d{1,2})?\b"
        r"|\b(?:[a-z0-9-]+\.)*[a-z][a-z0-9-]*:\d{2,5}\b",
    ),
    (
        "host",
        r"\b(?:[a-z0-9-]+\.)+(?:com|org|net|io|dev|internal|local|lan|example|test|de|ch|fr|es|it|uk|eu|app|ai)\b",
    ),
    ("version", r"\bv\d+(?:\.\d+)*(?:-[\w.]+)?\b|\b\d+\.\d+\.\d+(?:[-+.][\w.]+)?\b"),
    (
        "date",
        r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?Z?)?\b"
        r"|\b\d{1,2}\.\d{1,2}\.(?:\d{4}|\d\d)\b|\b\d{1,2}/\d{1,2}/\d{2,4}\b",
    ),
    ("time", r"\b\d{1,2}:\d\d(?:\s?[ap]m)?\b|\b\d{1,2}\s?[ap]m\b"),
    (
        "money",
        r"[$€£¥]\s?\d[\d.,']*\d[kKM]?|[€£¥]\s?\d|\b\d[\d.,']*\d?\s?(?:USD|EUR|CHF|GBP|€|\$|£|Euro|euros?|dollars?)(?!\w)",
    ),
    ("ticket", r"\b[A-Z][A-Z0-9]{1,9}-\d+\b(?!-\w)|(?<![\w&])#\d+\b|(?<!\w)![0-9]+\b|\b[^\W\d_]{1,3}-\d+/\d+\b"),
    ("serial", r"(?<![\w-])\d{2,}-\d{3,}(?:-\d+)*(?![\w-])|\b\d{3,}-[A-Z]+\b"),
    ("hash", r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}\b"),
    ("constant", r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b"),
    ("code", r"(?<![\w.,])(?=[A-Z0-9-]*\d)(?=[A-Z0-9-]*[A-Z])[A-Z0-9]{2,}(?:-[A-Z0-9]+)*\b"),
    ("name", r"\b[a-zA-Z_]\w*(?:_\w+)+\b(?:\(\))?|\b[a-z]+(?:[A-Z][a-z0-9]+)+\b(?:\(\))?|\b[a-z]\w*\(\)"),
    (
        "kebab",
        r"\b[a-z][a-z0-9]*(?:-[a-z0-9]+)*-[a-z]*\d[a-z0-9]*(?:[.-][a-z0-9]+)*\b|\b[a-z][a-z0-9]+(?:-[a-z0-9]+){2,}\b",
    ),
    ("amount", rf"(?<![\w.,])[~≤≥<>±]?\d+(?:[.,]\d+)*\s?{_UNITS}(?![\w=]|/[a-z])"),
    ("number", r"(?<![\w.])\d{4,}(?![\w.]*\w)"),
    ("decimal", r"(?<![\w.])\d+(?:[.,]\d+)+(?!\w|\.\w)"),
    ("phone", r"(?<!\w)\+\d[\d ()/-]{6,}\d"),
    ("flag", r"(?<![\w-])--[a-z][\w-]+(?:=[\w./:-]+)?"),
)
# Words of OpenClaw's own records, and units, that look like names in a program.
_NO_IDENTIFIERS = {
    "toolCall",
    "toolResult",
    "toolCallId",
    "toolName",
    "exitCode",
    "isError",
    "hPa",
    "kPa",
    "kHz",
    "mAh",
}
_ANY = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS))
LONGEST = 300
_SPECIAL = re.compile(r"[\d/_@$€£¥#]|[a-z][A-Z]|\w[.:-]\w|\w\(\)|--\w")
_TRAILING = ".,;:!?'\"*_)"
# How much is lost when one of this kind is lost: an id cannot be guessed again, a round number can.
_WORTH = {
    1.0: "url uuid digest hash email package address ticket serial phone",
    0.9: "path version constant code",
    0.8: "host money kebab",
    0.7: "file number",
    0.6: "date name flag quoted",
    0.5: "amount",
    0.4: "time",
    0.2: "decimal",
}
WEIGHT = {kind: weight for weight, kinds in _WORTH.items() for kind in kinds.split()}

_PROGRAMS = (
    "git|gh|glab|npm|npx|pnpm|yarn|bun|deno|node|python3?|pip3?|pipx|uv|poetry|pytest|tox|ruff|mypy|make|cmake|cargo|rustup|go|java|mvn|gradle"
    r"|\./gradlew|docker|docker-compose|podman|kubectl|helm|k9s|terraform|tofu|ansible(?:-playbook)?|vagrant|aws|gcloud|az|flyctl|heroku|ssh|scp"
    "|rsync|curl|wget|httpie|systemctl|journalctl|launchctl|crontab|apt(?:-get)?|dnf|yum|brew|pacman|apk|snap|psql|pg_dump|pg_restore|mysql"
    "|mysqldump|mongodump|redis-cli|sqlite3|openssl|certbot|nginx|caddy|tar|zip|unzip|zstd|gzip|chmod|chown|ln|mkdir|mv|cp|rm|sed|awk|grep|rg"
    "|find|xargs|tail|head|cat|ls|echo|export|source|nc|dig|ping|ip|iptables|ufw|mount|fsck|dd|restic|borg|rclone|ffmpeg|convert|pandoc"
    "|latexmk|jq|yq|sops|vault|alembic|flask|django-admin|rails|bundle|php|composer|artisan|dotnet|swift|xcodebuild|adb|flutter|openclaw|qmd"
    r"|ollama|llm|moon-\w+|\./[\w./-]+|bin/[\w-]+"
)
_COMMAND = re.compile(rf"(?:sudo\s+)?(?:[A-Z_][A-Z0-9_]*=\S+\s+)*(?:{_PROGRAMS})(?:\s+\S.*)?")
_PROMPTED = re.compile(r"^\s*(?:\$|#|>|❯|%)\s+(\S.*)$", re.MULTILINE)
_TICKED = re.compile(r"(?<!`)`([^`\n]{2,240})`(?!`)")
_FENCED = re.compile(r"```(?:bash|sh|shell|console|zsh)?\s*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Identifier:
    """A literal piece of a text, and what sort of thing it names."""

    kind: str
    text: str


@functools.lru_cache(maxsize=8192)
def identifiers_in(text: str) -> tuple[Identifier, ...]:
    """Every identifier in the order of the text."""
    return tuple(found for run in _runs(text) for found in _identifiers_of(run) if found.text in text)


def _runs(text: str) -> Iterator[str]:
    """The stretches of a text that can hold an identifier: words that are not just letters, and the word after them.

    Looking only there makes the search several times faster, since most words of a conversation are just letters.
    """
    for line in text.splitlines():
        run: list[str] = []
        follows = False
        for word in line.split():
            # What is longer is a blob: nobody writes it down, and searching it takes time without end.
            special = len(word) <= LONGEST and bool(_SPECIAL.search(word))
            if special or (follows and len(word) <= LONGEST):
                run.append(word)
            elif run:
                yield " ".join(run)
                run = []
            follows = special
        if run:
            yield " ".join(run)


def _identifiers_of(run: str) -> Iterator[Identifier]:
    for match in _ANY.finditer(run):
        kind = match.lastgroup or "name"
        value = match.group(0).rstrip(_TRAILING) if kind != "name" else match.group(0)
        if value.count("(") < value.count(")") and kind != "name":
            value = value.rstrip(")")
        if len(value) >= 2 and value not in _NO_IDENTIFIERS:
            yield Identifier(kind, value)


def quoted_in(text: str) -> Iterator[Identifier]:
    """What a writer put between backticks: names to be taken literally."""
    for match in _TICKED.finditer(text):
        value = match.group(1).strip()
        if 2 <= len(value) <= 80 and not is_command(value):
            yield Identifier("quoted", value)


# The words of a language or library: `__name__`, `primary_key`, `sessionId`. Three words together are of a project.
_VOCABULARY = re.compile(r"__\w+__|[a-z]+_?[a-z]*(?:\(\))?|[a-z]+[A-Z][a-z]+(?:\(\))?")
_YEAR = re.compile(r"(?:19|20)\d\d")
# "step-by-step", "up-to-date": words of a language, not of a system.
_COMPOUND = re.compile(
    r"(?:[a-z]+-)+(?:a|an|and|as|at|by|de|for|in|not|of|off|on|or|out|over|par|the|to|up|und)(?:-[a-z]+)+"
)
# `n_0`, `4m`, `Q1`: nobody finds anything by them.
_SHORTEST = 4


def is_searched_for(found: Identifier) -> bool:
    """Whether somebody would look for it later: no word of a program's vocabulary, and no plain year."""
    if found.kind == "number" and _YEAR.fullmatch(found.text):
        return False
    if len(found.text) < _SHORTEST and found.kind not in ("ticket", "money"):
        return False
    if found.kind in ("kebab", "quoted") and _COMPOUND.fullmatch(found.text):
        return False
    return found.kind not in ("name", "quoted") or not _VOCABULARY.fullmatch(found.text)


# Kinds that name one thing: another path is another rule, another sum may be the same one corrected.
_THINGS = frozenset(
    ["url", "uuid", "email", "path", "file", "address", "host", "ticket", "serial", "hash", "code", "phone"]
)


def things_in(text: str) -> frozenset[str]:
    """The things that a text names exactly: paths, hosts, tickets."""
    return frozenset(found.text for found in identifiers_in(text) if found.kind in _THINGS)


def is_command(text: str) -> bool:
    """Whether this line reads like something for a shell, with at least one argument."""
    return bool(_COMMAND.fullmatch(text)) and (" " in text or text.startswith("./"))


def commands_in(text: str) -> list[str]:
    """Command lines that a text quotes: in a shell fence, after a prompt sign, between backticks; each once."""
    return list(dict.fromkeys(_quoted_commands(text)))


def _quoted_commands(text: str) -> Iterator[str]:
    for block in _FENCED.findall(text):
        for line in block.splitlines():
            line = re.sub(r"^\s*\$\s+", "", line).strip()
            if is_command(line):
                yield line
    for candidate in (*_PROMPTED.findall(text), *_TICKED.findall(text)):
        if is_command(candidate.strip()):
            yield candidate.strip()


def occurs(value: str, source: str) -> bool:
    """Whether this identifier stands literally in the source, whatever white space stands between its parts."""
    return value in source or " ".join(value.split()) in source


_NAME = re.compile(r"(?<![.!?:] )(?<!^)(?<![\"“'(])\b[^\W\d_a-z][\w'’-]+(?: [^\W\d_a-z][\w'’-]+)*")


def names_in(text: str) -> Iterator[str]:
    """Words that are written with a capital inside a sentence: names, in most languages that have capitals."""
    for match in _NAME.finditer(text):
        if match.group(0)[0].isupper() and not match.group(0).startswith(("I'", "I’")):
            yield match.group(0)
