# What every shell test needs: a scratch machine with a small JSONL store of OpenClaw, and nothing of this one.

bats_require_minimum_version 1.5.0
setup() {
    repo=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    bin=$repo/bin
    python=$repo/.venv/bin/python
    # Nothing of the user's environment but what programs need to be found and to start.
    for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
        case $name in BATS_* | PATH | TMPDIR | LD_LIBRARY_PATH | DYLD_LIBRARY_PATH | PYTHONDONTWRITEBYTECODE) ;; *) unset "$name" ;; esac
    done
    umask 022
    export HOME=$BATS_TEST_TMPDIR/home LANG=C.UTF-8 TZ=UTC
    export MOON_HOME=$HOME/moon OPENCLAW_STATE_DIR=$HOME/openclaw
    export MOON_DISTILL__PROVIDERS=local MOON_QMD__ENABLED=false MOON_OPENCLAW__BIN=no-openclaw-here
    mkdir -p "$HOME"
    cd "$HOME"
}

# make_session AGENT KEY ID TOKENS: a session of four events in a 64k window (prompt budget 48000), last used in 2026.
make_session() {
    local folder=$OPENCLAW_STATE_DIR/agents/$1/sessions
    mkdir -p "$folder"
    "$python" - "$folder" "$@" <<'PYTHON'
import json, sys
from pathlib import Path

folder, agent, key, name, tokens = Path(sys.argv[1]), *sys.argv[2:6]
index = folder / "sessions.json"
entries = json.loads(index.read_text()) if index.exists() else {}
entries[key] = {
    "sessionId": name, "updatedAt": 1793614500000, "lastInteractionAt": 1793614500000,
    "totalTokens": int(tokens), "totalTokensFresh": True, "contextTokens": 64000,
}
index.write_text(json.dumps(entries))
when = "2026-11-02T10:15:00.000Z"
lines = [{"type": "session", "version": 3, "id": name, "timestamp": when, "cwd": "/"}]
texts = ["Which valve leaks?", f"The leaking valve of {agent} is number 4711.", "Close it tonight."]
for number, text in enumerate(texts, 1):
    role = "assistant" if number == 2 else "user"
    content = [{"type": "text", "text": text}]
    lines.append({"type": "message", "id": f"{name}-{number}", "parentId": None, "timestamp": when,
                  "message": {"role": role, "content": content}})
(folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
PYTHON
}

# A moment after the sessions were last used, at which their numbers are fresh and nobody is at work.
later() { export MOON_NOW=2026-11-02T10:45:00Z; }
