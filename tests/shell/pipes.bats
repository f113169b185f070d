#!/usr/bin/env bats
# The stations as filters for people.

load helper

@test "sample | archive | index, then recall finds it" {
    make_session main agent:main:main s1 40000
    later
    "$bin/moon-sample" --no-exec | "$bin/moon-archive" | "$bin/moon-index" >"$HOME/cycle.json"
    grep -q '"station": "index"' "$HOME/cycle.json"
    run --separate-stderr "$bin/moon-recall" "which valve leaks"
    [ "$status" -eq 0 ]
    [[ "$output" == *4711* ]]
}

@test "sample --no-exec changes nothing" {
    make_session main agent:main:main s1 40000
    later
    "$bin/moon-sample" --no-exec --json >/dev/null
    [ ! -e "$MOON_HOME" ]
}

@test "one JSON document on stdout, words on stderr" {
    make_session main agent:main:main s1 40000
    run --separate-stderr "$bin/moon-archive" --all --json
    [ "$status" -eq 0 ]
    echo "$output" | "$python" -c 'import json, sys; assert json.load(sys.stdin)["schema"] == "moon.cycle/1"'
    [[ "$stderr" == *"agent:main:main"* ]]
}

@test "a reader that goes away is no traceback" {
    for number in $(seq 40); do make_session main "agent:main:number-$number" "s$number" 1000; done
    run bash -c '"$0"/moon-sample --no-exec | head -c 10' "$bin"
    [[ "$output" != *Traceback* ]]
    [[ "$output" != *"Broken pipe"* ]]
}

@test "an empty pipe is named" {
    run bash -c 'true | "$0"/moon-archive' "$bin"
    [ "$status" -eq 78 ]
    [[ "$output" == *"standard input is empty"* ]]
}

@test "the whole tick runs through to the end under one lock" {
    make_session main agent:main:main s1 45000
    make_session ops agent:ops:main s2 1000
    later
    run "$bin/moon-sample"
    [ "$status" -eq 0 ]
    [ "$(wc -l <"$MOON_HOME/archives/ledger.jsonl")" -eq 2 ]
    [ -s "$MOON_HOME/memory/2026-11-02.md" ]
    grep -q '"action": "rollover", "outcome": "deferred"' "$MOON_HOME/skills/moon-system/logs/audit.log"
}

@test "a second tick adds nothing" {
    make_session main agent:main:main s1 45000
    later
    "$bin/moon-sample"
    find "$MOON_HOME/archives" "$MOON_HOME/memory" -type f -exec cksum {} + | sort >"$HOME/before"
    "$bin/moon-sample"
    find "$MOON_HOME/archives" "$MOON_HOME/memory" -type f -exec cksum {} + | sort >"$HOME/after"
    cmp "$HOME/before" "$HOME/after"
}

@test "restore writes what the store held, byte for byte" {
    make_session main "agent:main:a/b ../c" s1 1000
    "$bin/moon-archive" --all >/dev/null
    "$bin/moon-archive" --restore "agent:main:a/b ../c" --to "$HOME/back.jsonl"
    cmp "$HOME/back.jsonl" "$OPENCLAW_STATE_DIR/agents/main/sessions/s1.jsonl"
}
