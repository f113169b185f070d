"""Where the gateway is, as OpenClaw's own command finds it; None wherever only the command can know."""

from __future__ import annotations

import json

import pytest
from tests.support.settings import settings

from moon.openclaw.gateway_address import find_address


def address(tmp_path, document, **environment):
    text = document if isinstance(document, str) else json.dumps(document)
    (tmp_path / "openclaw.json").write_text(text)
    return find_address(settings(openclaw={"state_dir": str(tmp_path)}), environment)


def gateway(auth=None, **more):
    return {"gateway": {"mode": "local", "port": 4711, "auth": auth or {"mode": "token", "token": "t0"}, **more}}


@pytest.mark.parametrize(
    ("document", "environment", "found"),
    [
        (gateway(), {}, ("ws://127.0.0.1:4711", "token", "t0")),
        (gateway({"token": "t0"}), {}, ("ws://127.0.0.1:4711", "token", "t0")),
        (gateway({"mode": "password", "password": "p0"}), {}, ("ws://127.0.0.1:4711", "password", "p0")),
        (gateway({"password": "p0"}), {}, ("ws://127.0.0.1:4711", "password", "p0")),
        (gateway({"mode": "none"}), {}, ("ws://127.0.0.1:4711", "", "")),
        (gateway(), {"OPENCLAW_GATEWAY_PORT": "99"}, ("ws://127.0.0.1:99", "token", "t0")),
        ({"gateway": {"auth": {"token": "t0"}}}, {}, ("ws://127.0.0.1:18789", "token", "t0")),
        (gateway({"mode": "token"}), {"OPENCLAW_GATEWAY_TOKEN": "t1"}, ("ws://127.0.0.1:4711", "token", "t1")),
        (gateway(), {"OPENCLAW_GATEWAY_TOKEN": "t1"}, ("ws://127.0.0.1:4711", "token", "t0")),
        (gateway({"token": "${MINE}"}), {"MINE": "t2"}, ("ws://127.0.0.1:4711", "token", "t2")),
        (gateway({"token": "${MINE}"}), {"OPENCLAW_GATEWAY_TOKEN": "t1"}, ("ws://127.0.0.1:4711", "token", "t1")),
    ],
)
def test_found(tmp_path, document, environment, found):
    assert address(tmp_path, document, **environment)[:3] == found


@pytest.mark.parametrize(
    ("document", "environment"),
    [
        ("// JSON5\n{gateway: {}}", {}),
        ("[]", {}),
        ({}, {}),
        ({"gateway": {"$include": "gateway.json5"}}, {}),
        ({"$include": "all.json5", **gateway()}, {}),
        (gateway(mode="remote"), {}),
        (gateway(tls={"enabled": True}), {}),
        (gateway({"token": {"source": "exec", "id": "x"}}), {}),
        (gateway({"token": "${MISSING}"}), {}),
        (gateway({"mode": "trusted-proxy"}), {}),
        (gateway({"mode": "token", "password": "p0"}), {}),
        (gateway(port="many"), {}),
        (gateway(port=0), {}),
        (gateway(), {"OPENCLAW_GATEWAY_URL": "ws://10.0.0.1:1"}),
    ],
)
def test_left_to_the_command(tmp_path, document, environment):
    assert address(tmp_path, document, **environment) is None


def test_no_configuration_at_all(tmp_path):
    assert find_address(settings(openclaw={"state_dir": str(tmp_path)}), {}) is None


def test_the_path_may_be_named(tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps(gateway()))
    found = find_address(
        settings(openclaw={"state_dir": "/nowhere"}), {"OPENCLAW_CONFIG_PATH": f"{tmp_path}/mine.json"}
    )
    assert found is not None and found.source == f"{tmp_path}/mine.json"
