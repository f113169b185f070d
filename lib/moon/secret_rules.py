"""What secrets look like: tokens by their prefix or shape, and values by the words before them.

Rules only; `redact.py` applies them. Anchors and hints are plain substrings that keep a rule from being tried where it
cannot match.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass

Accept = Callable[[str], bool]


@dataclass(frozen=True)
class Rule:
    """One kind of secret: `pattern` is tried where one of the literal `anchors` stands, or anywhere if `scan`.

    The secret is the last named group of a match, or else all of it; `accept` has the last word.
    `hint` is set where the words before a value give it away: a text without it (in lower case) holds no such secret,
    and anchors are compared in lower case too.
    """

    kind: str
    anchors: tuple[str, ...]
    pattern: re.Pattern[str]
    accept: Accept | None = None
    hint: str | None = None
    scan: bool = False

    @property
    def spreads(self) -> bool:
        """Whether a value found by this rule is a secret also where it stands without the words that gave it away."""
        return self.hint is not None and not self.scan


# --- what is accepted where the surroundings alone do not prove a secret ----------------------------------------------

_PLACEHOLDER = re.compile(
    r"""(?ix) ^(?:
    [x*.\-_#?]{3,} | .*\.\.\.$ | (?:your|my|the|a|some|new|old|this|that)[-_\s].* | change[-_]?me | replace[-_]?me
    | example\w* | redacted | hidden | secret | password | passwd | token | none | null | nil | undefined | true | false
    | yes | no | required | optional | missing | invalid | expired | empty | unset | str(?:ing)? | int(?:eger)? | number
    | bool(?:ean)? | bytes | object | any | unknown | default | prompt | stdin | env | keyring | ask
    )$"""
)
_EXPRESSION = re.compile(
    r"[()<>{}|\\]|^[$%&@!?]|\$\{|=>|::"
    r"|^(?:self|this|args|os|process|env|config|settings|request|options|opts|ctx|secrets?)\."
)
_PATH = re.compile(r"^(?:~|\.{1,2})?/(?:[\w.@+-]{0,24}/)*[\w.@+-]{0,24}$")
_DIGIT = re.compile(r"\d")
_LETTER = re.compile(r"[A-Za-z]")
_SYMBOL = re.compile(r"[^\w\s.,:;/\-]")


def _not_placeholder(value: str) -> bool:
    return not (_PLACEHOLDER.match(value) or _EXPRESSION.search(value) or _PATH.match(value))


def _with_digit(value: str) -> bool:
    return _not_placeholder(value) and len(_DIGIT.findall(value)) >= 2


def _mixed(value: str) -> bool:
    """Letters together with digits or symbols: what a chosen password has and a word of prose has not."""
    mixed = _LETTER.search(value) and (_DIGIT.search(value) or _SYMBOL.search(value))
    return bool(mixed) and _not_placeholder(value)


def _assigned(value: str) -> bool:
    return len(value) >= 4 and _mixed(value)


def _written_password(value: str) -> bool:
    """A password written as one (`password="…"`) may be a plain word; a name of a variable or a type is none."""
    return len(value) >= 4 and _not_placeholder(value) and not re.search(r"(?i)passw|pwd|secret|token", value)


def _encoded_pair(value: str) -> bool:
    """Whether this is `user:password` in Base64, as an HTTP header carries it."""
    try:
        return b":" in base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_")
    except ValueError:
        return False


# --- the rules --------------------------------------------------------------------------------------------------------

_START = r"(?<![A-Za-z0-9])"
_STOP = r"(?![A-Za-z0-9])"


def _token(kind: str, anchors: str, pattern: str, accept: Accept | None = None) -> Rule:
    """A token known by its prefix; `anchors` are its prefixes."""
    return Rule(kind, tuple(anchors.split()), re.compile(_START + pattern), accept)


def _shape(kind: str, inside: str, pattern: str, accept: Accept | None = None) -> Rule:
    """A token known by its shape; a text without any of `inside` holds none."""
    return Rule(kind, tuple(inside.split()), re.compile(_START + pattern), accept, scan=True)


def _context(kind: str, hint: str, anchors: str, pattern: str, accept: Accept | None = None) -> Rule:
    """A value known by the words before it; `pattern` begins at one of the `anchors` (separated by |, lower case)."""
    return Rule(kind, tuple(anchors.split("|")), re.compile(pattern, re.IGNORECASE), accept, hint)


_DISCORD = r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}"
_ASSIGN = r"""["'\\]*\]?(?:\s?:\s?[\w.|\[\] ]{1,30}?(?=\s?=))?\s{0,3}(?:=>|:=|={1,3}|:|：)\s{0,3}"""
_QUOTED = r"""\\?(?P<quote>["'`])(?P<secret>(?:(?!\\?["'`])[^\n]){4,200})\\?(?P=quote)"""
_BARE = r"""(?P<bare>[^\s"'`,;)\]}\[<>\\]{4,200})"""
_VALUE = rf"(?:{_QUOTED}|{_BARE})"
_NAMES = {
    "pass": "password|passwd|passphrase|passcode",
    "pwd": "pwd",
    "secret": "secret",
    "token": "token",
    "key": "key",
    "credential": "credentials|credential",
    "_auth": "_auth",
}
_KEY_OF = "api[_ -]|api|access[_-]|access|auth[_-]|auth|private[_-]|private|signing[_-]|encryption[_-]|account[_-]"
_NAMED = (
    r"(?:password|passwd|passphrase|passcode|pwd|secret(?:[_-]?(?:access[_-]?)?key)?|token|credentials?|_auth(?:token)?"
    rf"|(?:{'|'.join(f'(?<={word})' for word in _KEY_OF.split('|'))})key(?:[_-]?secret)?|(?<=client-)key-data)"
)
_SPOKEN = {
    "pass": "password|passphrase|passcode|passwort",
    "kennwort": "kennwort",
    "contrase": "contraseña|contrasena",
    "mot de passe": "mot de passe",
    "senha": "senha",
    "wachtwoord": "wachtwoord",
    "пароль": "пароль",
    "密码": "密码",
    "密碼": "密碼",
    "パスワード": "パスワード",
    "비밀번호": "비밀번호",
}
_SPOKEN_LINK = r"(?:[^\n:=.]{0,40}?\s(?:is|was|ist|es|est|lautet|to|è|é|это)\s{1,3}|\s?[:：=]\s{0,3}|は|是|为)[\"'`]?"

RULES: tuple[Rule, ...] = (
    Rule(
        "private-key",
        (),
        re.compile(
            r"-----BEGIN ([A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?)-----"
            r"(?:(?s:(?!-----BEGIN).)*?-----END \1-----|[A-Za-z0-9+/=\s\\:,-]*)"
            r"|PuTTY-User-Key-File-\d:(?s:.*?)Private-MAC: ?[0-9a-f]+|AGE-SECRET-KEY-1[0-9A-Z]{30,}"
        ),
        hint="key",
        scan=True,
    ),
    _token("anthropic-key", "sk-ant-", r"sk-ant-[A-Za-z0-9_-]{20,}"),
    _token("openrouter-key", "sk-or-", r"sk-or-[A-Za-z0-9_-]{20,}"),
    _token("openai-key", "sk-", r"sk-[A-Za-z0-9_-]{20,}", _with_digit),
    _token("google-api-key", "AIza AQ.", r"(?:AIza[0-9A-Za-z_-]{35}|AQ\.[0-9A-Za-z_-]{30,})"),
    _token("google-oauth-token", "ya29. GOCSPX- 1//0", r"(?:ya29\.|GOCSPX-|1//0)[0-9A-Za-z_-]{20,}"),
    _token(
        "github-token",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        r"(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})",
    ),
    _token(
        "gitlab-token",
        "glpat- gldt- glft- glsoat- glrt- glcbt- glimt- glptt- glagent- gloas- glffct- glwt-",
        r"gl[a-z]{2,5}-[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9_.-]{2,})?",
    ),
    _token("slack-token", "xox xapp-", r"(?:xox[abceoprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,})", _with_digit),
    _token(
        "slack-webhook",
        "hooks.slack.com/",
        r"hooks\.slack\.com/(?P<secret>(?:services|workflows|triggers)/[A-Za-z0-9/_+-]{20,})",
    ),
    _token(
        "stripe-key",
        "sk_live_ sk_test_ rk_live_ rk_test_ whsec_",
        r"(?:[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{20,})",
    ),
    _token("aws-access-key", "AKIA ASIA ABIA ACCA", r"[A-Z]{4}[0-9A-Z]{16}" + _STOP),
    _token("npm-token", "npm_", r"npm_[A-Za-z0-9]{36}"),
    _token("pypi-token", "pypi-", r"pypi-[A-Za-z0-9_-]{50,}"),
    _shape("telegram-bot-token", ":AA", r"\d{8,10}:AA[A-Za-z0-9_-]{32,34}"),
    _token(
        "discord-webhook",
        "discord.com/api/webhooks/ discordapp.com/api/webhooks/",
        r"discord(?:app)?\.com/api/webhooks/(?P<secret>\d+/[\w-]{40,})",
    ),
    _shape("discord-token", ".", _DISCORD + _STOP, _with_digit),
    _token("sendgrid-key", "SG.", r"SG\.[\w-]{16,32}\.[\w-]{32,64}"),
    _token("twilio-key", "SK", r"SK[0-9a-f]{32}" + _STOP),
    _token("huggingface-token", "hf_ api_org_", r"(?:hf|api_org)_[A-Za-z0-9]{30,}"),
    _token("digitalocean-token", "dop_v1_ doo_v1_ dor_v1_", r"do[opr]_v1_[a-f0-9]{64}"),
    _token("shopify-token", "shpat_ shpca_ shppa_ shpss_", r"shp[a-z]{2}_[a-fA-F0-9]{32}"),
    _token("databricks-token", "dapi", r"dapi[a-f0-9]{32}(?:-\d)?" + _STOP),
    _token("notion-token", "ntn_ secret_", r"(?:ntn_|secret_)[A-Za-z0-9]{40,}"),
    _token("vault-token", "hvs. hvb. hvr.", r"hv[sbr]\.[A-Za-z0-9_-]{20,}"),
    _token("mailgun-key", "key-", r"key-[0-9a-f]{32}" + _STOP),
    _shape("mailchimp-key", "-us", r"[0-9a-f]{32}-us\d{1,2}" + _STOP),
    _token("grafana-token", "glsa_ glc_", r"(?:glsa|glc)_[A-Za-z0-9_+/=]{32,}"),
    _token("linear-key", "lin_api_ lin_oauth_", r"lin_[a-z]+_[A-Za-z0-9]{32,}"),
    _token("atlassian-token", "ATATT3 ATCTT3", r"AT[AC]TT3[A-Za-z0-9_=-]{40,}"),
    _token("docker-token", "dckr_", r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}"),
    _token("supabase-key", "sbp_ sb_secret_", r"(?:sbp_[a-f0-9]{40}|sb_secret_[A-Za-z0-9_-]{20,})"),
    _token("groq-key", "gsk_", r"gsk_[A-Za-z0-9]{40,}"),
    _token("xai-key", "xai-", r"xai-[A-Za-z0-9]{50,}"),
    _token("perplexity-key", "pplx-", r"pplx-[A-Za-z0-9]{40,}"),
    _token("tailscale-key", "tskey-", r"tskey-[a-z]+-[A-Za-z0-9-]{16,}"),
    _token("rubygems-key", "rubygems_", r"rubygems_[a-f0-9]{48}"),
    _token("jwt", "eyJ", r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)?"),
    _context("bearer-token", "bearer ", "bearer ", r"bearer\s+(?P<secret>[A-Za-z0-9._~+/=-]{12,})", _with_digit),
    _context(
        "basic-auth",
        "basic ",
        "basic ",
        r"(?<=[:=\"'\s])basic\s+(?P<secret>(?=[A-Za-z]*[A-Z0-9+/])[A-Za-z0-9+/_-]{12,}={0,2})(?=[\"'\s]|$)",
        _encoded_pair,
    ),
    _context(
        "basic-auth",
        "curl ",
        "curl ",
        r"curl\b[^\n|;]{0,200}?\s(?:-u|--user)[ =]?[\"']?[^\s:\"']+:(?P<secret>[^\s\"'\[]{3,})",
        _not_placeholder,
    ),
    _context("cookie", "cookie:", "cookie:", r"cookie:\s*(?P<secret>[^\s\"'\[][^\r\n\"'\\]{7,})", _with_digit),
    _context(
        "url-password", "://", "://", r"://[^\s/?#@:\"'<>\[\]]*:(?P<secret>[^\s/@\"'`<>\[\]]{1,})@", _not_placeholder
    ),
    _context("url-token", "://", "https://|http://", r"https?://(?P<secret>[A-Za-z0-9_-]{20,})@", _with_digit),
    _context(
        "url-token",
        "=",
        "token=|auth=|key=|sig=|signature=|secret=",
        r"(?<=[?&_-])(?:token|auth|key|sig|signature|secret)=(?P<secret>[^&\s\"'`#<>\[\]\\)]{8,})",
        _with_digit,
    ),
    _context(
        "connection-string",
        "key",
        "key=",
        r"(?:(?<=account)|(?<=sharedaccess)|(?<=shared))key=(?P<secret>[A-Za-z0-9+/=]{20,})",
    ),
    _context(
        "password",
        "pass",
        "password|passwd|passphrase",
        r"(?:password|passwd|passphrase)" + _ASSIGN + _QUOTED,
        _written_password,
    ),
    _context("password", "pass", "password=|passwd=|pass=", r"(?:password|passwd|pass)=" + _BARE, _written_password),
    _context("password", "pwd", "pwd", "pwd(?:=" + _BARE + "|" + _ASSIGN + _QUOTED + ")", _written_password),
    _context(
        "password",
        "pass",
        "password>|passphrase>",
        r"(?:password|passphrase)>(?P<secret>[^<\s]{4,})</",
        _written_password,
    ),
    _context("password", "login ", "login ", r"login\s+\S+\s+password[ \t]+" + _BARE, _written_password),
    *(_context("secret", hint, names, _NAMED + _ASSIGN + _VALUE, _assigned) for hint, names in _NAMES.items()),
    _context(
        "secret",
        "--",
        "--",
        r"--(?:[a-z]+-)*(?:password|passwd|token|api-key|secret|access-key)[ =]+[\"']?" + _BARE,
        _assigned,
    ),
    *(
        _context("password", hint, words, f"(?:{words})" + _SPOKEN_LINK + _BARE, _mixed)
        for hint, words in _SPOKEN.items()
    ),
)
