"""52 kinds of secrets, each made anew from a generator of random numbers: what people and programs really write.

A kind is a function from the generator to (text, secret): the secret stands in the text, which is a line or a few.
Nothing here is a literal token, so that no scanner takes this repository for a leak.
"""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable

Generator = random.Random
Kind = Callable[[Generator], tuple[str, str]]

ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + string.digits
URL64 = ALNUM + "-_"
B64 = ALNUM + "+/"


def drawn(generator: Generator, length: int, letters: str = ALNUM) -> str:
    """Random letters; at least two digits among them, as in practically every secret of that length."""
    while True:
        made = "".join(generator.choices(letters, k=length))
        if sum(map(str.isdigit, made)) >= 2 and any(map(str.isalpha, made)):
            return made


def _segment(document: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def _jwt(r: Generator) -> str:
    return ".".join((_segment({"alg": "HS256", "typ": "JWT"}), _segment({"sub": drawn(r, 8)}), drawn(r, 43, URL64)))


def _pem(r: Generator, label: str) -> str:
    body = "\n".join(drawn(r, 64, B64) for _ in range(6))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----"


def bare(make: Callable[[Generator], str]) -> Kind:
    """A token that is known wherever it stands."""

    def kind(r: Generator) -> tuple[str, str]:
        secret = make(r)
        return secret, secret

    return kind


def framed(frame: str, make: Callable[[Generator], str]) -> Kind:
    """A value that only its surroundings give away; `{}` is its place."""

    def kind(r: Generator) -> tuple[str, str]:
        secret = make(r)
        return frame.replace("{}", secret), secret

    return kind


def _basic(r: Generator) -> str:
    return base64.b64encode(f"{drawn(r, 6)}:{drawn(r, 14)}".encode()).decode()


TOKENS: dict[str, Kind] = {
    "openai": bare(lambda r: "sk-" + "proj-" + drawn(r, 48)),
    "anthropic": bare(lambda r: "sk-" + "ant-api03-" + drawn(r, 93, URL64) + "AA"),
    "google-api": bare(lambda r: "AI" + "za" + drawn(r, 35, URL64)),
    "github": bare(lambda r: "gh" + "p_" + drawn(r, 36)),
    "github-fine": bare(lambda r: "github" + "_pat_" + drawn(r, 22) + "_" + drawn(r, 59)),
    "gitlab": bare(lambda r: "gl" + "pat-" + drawn(r, 20, URL64)),
    "slack": bare(lambda r: "xo" + "xb-" + drawn(r, 12, string.digits + "1a") + "-" + drawn(r, 24)),
    "stripe": bare(lambda r: "sk" + "_live_" + drawn(r, 24)),
    "aws-key": bare(lambda r: "AK" + "IA" + drawn(r, 16, UPPER)),
    "npm": bare(lambda r: "np" + "m_" + drawn(r, 36)),
    "pypi": bare(lambda r: "py" + "pi-AgEIcHlwaS5vcmc" + drawn(r, 80, URL64)),
    "telegram": bare(lambda r: str(r.randrange(10**9, 10**10)) + ":AA" + drawn(r, 33, URL64)),
    "discord": bare(lambda r: "MT" + drawn(r, 24) + "." + drawn(r, 6, URL64) + "." + drawn(r, 38, URL64)),
    "sendgrid": bare(lambda r: "SG" + "." + drawn(r, 22, URL64) + "." + drawn(r, 43, URL64)),
    "twilio": bare(lambda r: "SK" + drawn(r, 32, HEX)),
    "huggingface": bare(lambda r: "hf" + "_" + drawn(r, 34)),
    "digitalocean": bare(lambda r: "dop" + "_v1_" + drawn(r, 64, HEX)),
    "shopify": bare(lambda r: "shp" + "at_" + drawn(r, 32, HEX)),
    "vault": bare(lambda r: "hv" + "s." + drawn(r, 24)),
    "mailgun": bare(lambda r: "key" + "-" + drawn(r, 32, HEX)),
    "mailchimp": bare(lambda r: drawn(r, 32, HEX) + "-" + "us12"),
    "jwt": bare(_jwt),
    "pem-rsa": bare(lambda r: _pem(r, "RSA " + "PRIVATE KEY")),
    "pem-openssh": bare(lambda r: _pem(r, "OPENSSH " + "PRIVATE KEY")),
    "age": bare(lambda r: "AGE-SECRET" + "-KEY-1" + drawn(r, 58, UPPER)),
    "slack-webhook": framed(
        "post to https://hooks.slack.com/services/{}",
        lambda r: f"T{drawn(r, 8, UPPER)}/B{drawn(r, 8, UPPER)}/{drawn(r, 24)}",
    ),
}

SURROUNDED: dict[str, Kind] = {
    "bearer": framed("Authorization: Bearer {}", lambda r: drawn(r, 40)),
    "basic": framed("Authorization: Basic {}", _basic),
    "postgres-url": framed("postgres://moon:{}@db.internal:5432/app", lambda r: drawn(r, 14)),
    "mongodb-url": framed("mongodb+srv://root:{}@cluster0.example.net/?w=majority", lambda r: drawn(r, 16)),
    "redis-url": framed("redis://:{}@cache:6379/0", lambda r: drawn(r, 12)),
    "git-url": framed("git clone https://{}@git.example.org/a/b.git", lambda r: drawn(r, 40)),
    "query": framed("GET /v1/items?api_key={}&page=2", lambda r: drawn(r, 32)),
    "signed-url": framed("https://files.example.org/a.zip?se=2026&sig={}&sp=r", lambda r: drawn(r, 43)),
    "env": framed("export DB_PASSWORD={}", lambda r: drawn(r, 12)),
    "env-quoted": framed('API_TOKEN="{}"', lambda r: drawn(r, 32)),
    "yaml": framed("client_secret: {}", lambda r: drawn(r, 30)),
    "json": framed('{"apiKey": "{}"}', lambda r: drawn(r, 30)),
    "json-password": framed('{"user": "root", "password": "{}"}', lambda r: drawn(r, 14)),
    "aws-secret": framed("aws_secret_access_key = {}", lambda r: drawn(r, 40, B64)),
    "azure": framed("AccountName=moon;AccountKey={};EndpointSuffix=core", lambda r: drawn(r, 86, B64) + "=="),
    "odbc": framed("Server=db;Database=app;Uid=sa;Pwd={};", lambda r: drawn(r, 14)),
    "flag": framed("deploy --token {} --yes", lambda r: drawn(r, 24)),
    "curl": framed("curl -s -u agent:{} https://example.org/x", lambda r: drawn(r, 14)),
    "sshpass": framed("sshpass -p {} ssh root@box", lambda r: drawn(r, 12)),
    "mysql": framed("mysql -h db -u root -p{} app", lambda r: drawn(r, 12)),
    "spoken": framed("the password for the staging box is {}, keep it safe", lambda r: drawn(r, 12)),
    "german": framed("Das Passwort lautet {} für den Drucker", lambda r: drawn(r, 12)),
    "netrc": framed("machine example.org login agent password {}", lambda r: drawn(r, 14)),
    "npmrc": framed("//registry.example.org/:_authToken={}", lambda r: drawn(r, 36)),
    "docker": framed('{"auths": {"r.example.org": {"auth": "{}"}}}', _basic),
    "cookie": framed("Cookie: session={}", lambda r: drawn(r, 32)),
}

KINDS: dict[str, Kind] = {**TOKENS, **SURROUNDED}
