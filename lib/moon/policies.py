"""Other rules for some sessions: `policies` of the configuration. Pure.

The first policy that fits a session counts, alone: two that fit would have to be merged, and nobody could tell from the
file which threshold holds.
"""

from __future__ import annotations

from typing import Any

from moon.config import Config, Section, Values

SECTIONS = ("thresholds", "guard", "prune", "rollover")


def for_session(config: Config, agent: str, session_key: str) -> Config:
    """The configuration as it holds for one session."""
    for policy in config.policies:
        if fits(policy["match"], agent, session_key):
            return _applied(config, policy)
    return config


def fits(match: Values, agent: str, session_key: str) -> bool:
    """Do all patterns of a policy fit this session?"""
    from fnmatch import fnmatchcase

    names = {"session": session_key, "agent": agent, "channel": channel_of(session_key)}
    return all(
        any(fnmatchcase(names[kind], pattern) for pattern in ([wanted] if isinstance(wanted, str) else wanted))
        for kind, wanted in match.items()
    )


def channel_of(session_key: str) -> str:
    """The part of a key behind its agent: `telegram` of `agent:main:telegram:group:-100123`; empty for other keys."""
    parts = session_key.split(":", 3)
    return parts[2] if len(parts) > 2 and parts[0] == "agent" else ""


def _applied(config: Config, policy: Values) -> Config:
    """The configuration with what the policy says in place of what stood there."""
    values: dict[str, Any] = dict(config.__dict__)
    for name in SECTIONS:
        if name in policy:
            section: Section = values[name]
            values[name] = type(section)({**section.__dict__, **policy[name]})
    made = Config.__new__(Config)
    made.__dict__.update(values)
    return made
