#!/usr/bin/env bats
# Rows of docs/failure_policy.md that show best from outside.

load helper

@test "a damaged state file is set aside, and rebuilt from ledger and audit log" {
    make_session main agent:main:main s1 40000
    later
    "$bin/moon-sample"
    echo '{"schema": "moon.state/2", "half' >"$MOON_HOME/state/moon_state.json"
    run "$bin/moon-sample"
    [ "$status" -eq 0 ]
    [[ "$output" == *"set aside"* ]]
    ls "$MOON_HOME"/state/moon_state.json.corrupt-*
    grep -q '"agent:main:main"' "$MOON_HOME/state/moon_state.json"
    [ "$(wc -l <"$MOON_HOME/archives/ledger.jsonl")" -eq 1 ]
}

@test "a state file of a later version is left alone" {
    make_session main agent:main:main s1 40000
    mkdir -p "$MOON_HOME/state"
    echo '{"schema": "moon.state/9"}' >"$MOON_HOME/state/moon_state.json"
    run "$bin/moon-sample"
    [ "$status" -eq 78 ]
    [[ "$output" == *"moon.state/9"* ]]
    [ "$(cat "$MOON_HOME/state/moon_state.json")" = '{"schema": "moon.state/9"}' ]
}

# cut_short: a cycle in which only the archive station has finished, as after a crash.
cut_short() {
    "$bin/moon-sample"
    "$python" - "$MOON_HOME" <<'PYTHON'
import json, sys
from pathlib import Path

home = Path(sys.argv[1])
cycle = next((home / "state" / "cycles").glob("*.json"))
document = json.loads(cycle.read_bytes())
document["stations"] = document["stations"][:1]
document["finished_at"] = None
cycle.write_text(json.dumps(document))
state = json.loads((home / "state" / "moon_state.json").read_bytes())
state["open_cycle"] = document["cycle_id"]
(home / "state" / "moon_state.json").write_text(json.dumps(state))
PYTHON
}

@test "a cycle that was cut short is taken up at its first unfinished station" {
    make_session main agent:main:main s1 40000
    later
    cut_short
    rm -r "$MOON_HOME/index"
    run "$bin/moon-sample"
    [ "$status" -eq 0 ]
    grep -q '"action": "sample", "outcome": "resumed"' "$MOON_HOME/skills/moon-system/logs/audit.log"
    [ "$(find "$MOON_HOME/state/cycles" -name '*.json' | wc -l)" -eq 1 ]
    "$bin/moon-recall" "which valve leaks" --json | grep -q 4711
}

@test "an open cycle document that is damaged is set aside" {
    make_session main agent:main:main s1 40000
    later
    cut_short
    for each in "$MOON_HOME"/state/cycles/*.json; do echo "{" >"$each"; done
    run "$bin/moon-sample"
    [ "$status" -eq 0 ]
    ls "$MOON_HOME"/state/cycles/*.json.invalid
}

@test "a document of a later version is refused by name" {
    run bash -c 'echo "{\"schema\": \"moon.cycle/2\"}" | "$0"/moon-index' "$bin"
    [ "$status" -eq 78 ]
    [[ "$output" == *"moon.cycle/2"* ]]
    [ ! -e "$MOON_HOME/archives" ]
}

@test "prune and rollover wait for a gateway that is not there, and everything else is done" {
    make_session main agent:main:main s1 45000
    later
    run "$bin/moon-sample"
    [ "$status" -eq 0 ]
    grep -q '"action": "distill", "outcome": "done"' "$MOON_HOME/skills/moon-system/logs/audit.log"
    grep -q '"action": "rollover", "outcome": "deferred"' "$MOON_HOME/skills/moon-system/logs/audit.log"
    cmp "$OPENCLAW_STATE_DIR/agents/main/sessions/s1.jsonl" "$MOON_HOME"/archives/raw/main/*.jsonl
}

@test "malformed lines are kept, counted, and stop nothing" {
    make_session main agent:main:main s1 1000
    printf 'not json\n{"type":"message","id":"torn' >>"$OPENCLAW_STATE_DIR/agents/main/sessions/s1.jsonl"
    run "$bin/moon-archive" --all
    [ "$status" -eq 0 ]
    "$bin/moon-archive" --restore s1 --to "$HOME/back"
    cmp "$HOME/back" "$OPENCLAW_STATE_DIR/agents/main/sessions/s1.jsonl"
}

@test "a transcript that shrank in the store is kept whole in the archive" {
    make_session main agent:main:main s1 1000
    cp "$OPENCLAW_STATE_DIR/agents/main/sessions/s1.jsonl" "$HOME/whole"
    "$bin/moon-archive" --all >/dev/null
    head -n 1 "$HOME/whole" >"$OPENCLAW_STATE_DIR/agents/main/sessions/s1.jsonl"
    "$bin/moon-archive" --all >/dev/null
    "$bin/moon-archive" --restore s1 --to "$HOME/back"
    cmp "$HOME/back" "$HOME/whole"
}

@test "damage to an archive is named by --verify" {
    make_session main agent:main:main s1 1000
    "$bin/moon-archive" --all >/dev/null
    sed -i.old 's/4711/4712/' "$MOON_HOME"/archives/raw/main/*.jsonl
    run "$bin/moon-archive" --verify
    [ "$status" -eq 1 ]
    [[ "$output" == *"archives/raw/main"* ]]
}
