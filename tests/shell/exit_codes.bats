#!/usr/bin/env bats
# The table of exit codes in docs/contracts.md, one test a row.

load helper

@test "0: done" {
    make_session main agent:main:main s1 1000
    run "$bin/moon-archive" --all
    [ "$status" -eq 0 ]
}

@test "0: nothing to do" {
    make_session main agent:main:main s1 1000
    "$bin/moon-archive" --all >/dev/null
    run "$bin/moon-archive" --all
    [ "$status" -eq 0 ]
    [ "$(wc -l <"$MOON_HOME/archives/ledger.jsonl")" -eq 1 ]
}

@test "1: no OpenClaw to look at, and a hint says what to set" {
    run "$bin/moon-archive" --all
    [ "$status" -eq 1 ]
    [[ "$output" == *"hint:"*OPENCLAW_STATE_DIR* ]]
}

@test "2: wrong usage, on stderr alone" {
    run --separate-stderr "$bin/moon-archive" --sideways
    [ "$status" -eq 2 ]
    [ "$output" = "" ]
    [[ "$stderr" == *"--sideways"* ]]
}

@test "3: done in part: one store is broken, the other one is archived" {
    make_session main agent:main:main s1 1000
    mkdir -p "$OPENCLAW_STATE_DIR/agents/ops/agent"
    echo "this is no database, whatever its name says" >"$OPENCLAW_STATE_DIR/agents/ops/agent/openclaw-agent.sqlite"
    later
    run "$bin/moon-sample" --no-exec
    [ "$status" -eq 3 ]
    [[ "$output" == *"openclaw-agent.sqlite"* ]]
}

@test "75: the lock is held" {
    make_session main agent:main:main s1 1000
    mkdir -p "$MOON_HOME/state"
    "$python" -c '
import fcntl, sys, time
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
' "$MOON_HOME/state/cycle.lock" >"$HOME/held" < <(while [ ! -e "$HOME/done" ]; do sleep 0.1; done) 3>&- &
    while [ ! -s "$HOME/held" ]; do sleep 0.05; done
    run "$bin/moon-sample"
    archive_status=0
    "$bin/moon-archive" --all --json >"$HOME/report.json" 2>/dev/null || archive_status=$?
    touch "$HOME/done"
    wait
    [ "$status" -eq 75 ]
    [[ "$output" == *"another Moon process"* ]]
    [ "$archive_status" -eq 75 ]
    grep -q '"code": "locked"' "$HOME/report.json"
}

@test "78: configuration invalid, the nearest key named" {
    make_session main agent:main:main s1 1000
    mkdir -p "$MOON_HOME"
    echo "gaurd: {idle_seconds: 5}" >"$MOON_HOME/moon.yaml"
    run "$bin/moon-sample"
    [ "$status" -eq 78 ]
    [[ "$output" == *"gaurd"*"guard"* ]]
}

@test "78: a document that is none, with the report on stdout" {
    run --separate-stderr bash -c 'echo "{}" | "$0"/moon-archive --json' "$bin"
    [ "$status" -eq 78 ]
    [[ "$output" == *'"moon.report/1"'* ]]
}
