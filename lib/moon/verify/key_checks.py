"""Checks of the keys for models: as the timer sees them, and whether they were refused. Names only, never a value."""

from __future__ import annotations

import os
import shutil

from moon.config import Config, ModelProvider
from moon.errors import MoonError
from moon.model.model_keys import read_key
from moon.model.provider_state import read_circuits
from moon.paths import Home
from moon.verify.finding import OK, WARN, Finding, Findings, of_error, trouble
from moon.verify.timer_environment import TimerEnvironment


def check_keys(home: Home, config: Config, timer: TimerEnvironment) -> Findings:
    """Each provider that is to be asked before the local distiller."""
    try:
        circuits = read_circuits(home)
    except MoonError as error:
        yield of_error("keys", WARN, error)
        circuits = {}
    for name in config.distill.providers:
        if name == "local":
            continue
        failed = circuits.get(name, {})
        if failed.get("code"):
            until = f", and is left alone until {failed['open_until']}" if failed.get("open_until") else ""
            yield trouble(
                "keys", WARN, failed["code"], f"{name}: {failed.get('reason', '')} when it was asked last{until}"
            )
        yield _key_of(name, getattr(config.distill, name), timer)


def _key_of(name: str, provider: ModelProvider, timer: TimerEnvironment) -> Finding:
    variable = provider.api_key_env
    if variable and timer.value(variable):
        return Finding("keys", OK, f"{name}: key in ${variable}" + (f" ({timer.source})" if timer.source else ""))
    if provider.api_key_command:
        return _from_command(name, provider)
    if variable and os.environ.get(variable, "").strip():
        words = f"{name}: ${variable} is set in this shell, and not for the timer ({timer.source})"
        return trouble("keys", WARN, "key_not_for_timer", words)
    if provider.base_url:
        return Finding("keys", OK, f"{name}: an endpoint of its own, without a key")
    return Finding("keys", OK, f"{name}: no key (${variable}), so it is passed over")


def _from_command(name: str, provider: ModelProvider) -> Finding:
    """Run it: that it is there does not say that it gives a key."""
    program = provider.api_key_command[0]
    hint = f"correct distill.{name}.api_key_command"
    if shutil.which(program) is None:
        return Finding("keys", WARN, f"{name}: key from {program}, which is not there", hint)
    try:
        read_key(provider)
    except MoonError as error:
        return Finding("keys", WARN, f"{name}: {program}: {error.message}", f"run it by hand, or {hint}")
    return Finding("keys", OK, f"{name}: {program} gives a key")
