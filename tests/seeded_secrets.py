"""Made-up secrets of many kinds, put together at run time so that no scanner takes this repository for a leak."""

from __future__ import annotations

import base64
import json
import random
import string

_LETTERS = string.ascii_letters + string.digits
HEX = "0123456789abcdef"


def _random(length: int, seed: int, alphabet: str = _LETTERS) -> str:
    generator = random.Random(seed)
    return "".join(generator.choice(alphabet) for _ in range(length - 2)) + ("a7" if alphabet == HEX else "x7")


def _segment(document: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def _jwt() -> str:
    return ".".join((_segment({"alg": "HS256"}), _segment({"sub": "agent-7"}), _random(43, 1)))


def _key_block() -> str:
    body = "\n".join(_random(64, number) for number in range(5))
    return "-----BEGIN " + f"RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----"


SECRETS: dict[str, str] = {
    "openai": "sk-" + "proj-" + _random(48, 2),
    "anthropic": "sk-" + "ant-api03-" + _random(93, 3) + "AA",
    "google": "AI" + "za" + _random(35, 4),
    "github": "gh" + "p_" + _random(36, 5),
    "github-fine": "github" + "_pat_" + _random(22, 6) + "_" + _random(59, 7),
    "gitlab": "gl" + "pat-" + _random(20, 8),
    "slack": "xo" + "xb-" + "123456789012-123456789013-" + _random(24, 9),
    "stripe": "sk" + "_live_" + _random(24, 10),
    "aws": "AK" + "IA" + _random(16, 11, string.ascii_uppercase + string.digits).upper(),
    "npm": "np" + "m_" + _random(36, 12),
    "pypi": "py" + "pi-AgEIcHlwaS5vcmc" + _random(80, 13),
    "telegram": "123456789" + ":AA" + _random(33, 14),
    "discord": "MT" + _random(24, 15) + "." + _random(6, 16) + "." + _random(38, 17),
    "sendgrid": "SG" + "." + _random(22, 18) + "." + _random(43, 19),
    "twilio": "SK" + _random(32, 20, HEX),
    "huggingface": "hf" + "_" + _random(34, 21),
    "digitalocean": "dop" + "_v1_" + _random(64, 22, HEX),
    "jwt": _jwt(),
    "private-key": _key_block(),
    "mailchimp": _random(32, 23, HEX) + "-" + "us12",
}
"""Secrets that are recognised wherever they stand."""

_PASSWORD = _random(14, 30)
_BASIC = base64.b64encode(f"agent:{_PASSWORD}".encode()).decode()

IN_CONTEXT: dict[str, tuple[str, str]] = {
    "bearer": (f"Authorization: Bearer {_random(40, 31)}", _random(40, 31)),
    "basic": (f"Authorization: Basic {_BASIC}", _BASIC),
    "url-password": (f"postgres://moon:{_PASSWORD}@db.internal:5432/app", _PASSWORD),
    "url-token": (f"git clone https://{_random(40, 32)}@git.example.org/a/b.git", _random(40, 32)),
    "query": (f"GET /v1/items?api_key={_random(32, 33)}&page=2", _random(32, 33)),
    "env": (f"export DB_PASSWORD={_random(12, 34)}", _random(12, 34)),
    "yaml": (f"client_secret: {_random(30, 35)}", _random(30, 35)),
    "json": (f'{{"apiKey": "{_random(30, 36)}"}}', _random(30, 36)),
    "escaped-json": (f'{{\\"access_token\\": \\"{_random(30, 37)}\\"}}', _random(30, 37)),
    "aws-secret": (f"aws_secret_access_key = {_random(40, 38)}", _random(40, 38)),
    "azure": (f"AccountName=moon;AccountKey={_random(86, 39)}==;EndpointSuffix=core", _random(86, 39)),
    "flag": (f"deploy --token {_random(24, 40)} --yes", _random(24, 40)),
    "curl": (f"curl -s -u agent:{_PASSWORD} https://example.org/x", _PASSWORD),
    "spoken": (f"the password for the staging box is {_PASSWORD}, keep it safe", _PASSWORD),
    "german": (f"Das Passwort lautet {_PASSWORD} für den Drucker", _PASSWORD),
    "netrc": (f"machine example.org login agent password {_PASSWORD}", _PASSWORD),
    "cookie": (f"Cookie: session={_random(32, 41)}", _random(32, 41)),
    "quoted-word": ('password = "correcthorsebattery"', "correcthorsebattery"),
}
"""Secrets that only their surroundings give away: (text, secret)."""
