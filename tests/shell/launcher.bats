#!/usr/bin/env bats
# How the executables are started: from anywhere, through links, and with a word when something is missing.

load helper

@test "works from another folder and through a chain of relative links" {
    make_session main agent:main:main s1 1000
    mkdir -p "$HOME/a/b"
    ln -s "$bin/moon-sample" "$HOME/a/first"
    ln -s ../first "$HOME/a/b/moon-sample"
    cd "$HOME/a"
    run b/moon-sample --no-exec
    [ "$status" -eq 0 ]
    [[ "$output" == *'"agent:main:main"'* ]]
}

@test "works through PATH" {
    cd /
    PATH=$bin:$PATH run moon-recall --version
    [ "$status" -eq 0 ]
    [[ "$output" == moon-recall* ]]
}

@test "without its Python it says which command makes one" {
    MOON_PYTHON=$HOME/none run "$bin/moon-sample"
    [ "$status" -eq 78 ]
    [[ "$output" == *"hint:"*"make venv"* ]]
}

@test "a checkout in a folder with spaces works" {
    mkdir -p "$HOME/check out"
    cp -R "$repo/bin" "$repo/lib" "$repo/schemas" "$HOME/check out/"
    MOON_PYTHON=$python run "$HOME/check out/bin/moon-sample" --version
    [ "$status" -eq 0 ]
}

@test "the launcher by its own name says what to call" {
    run "$bin/moon"
    [ "$status" -eq 2 ]
    [[ "$output" == *moon-TOOL*sample* ]]
}

@test "a MOON_HOME that cannot be made is named, with a hint and no traceback" {
    make_session main agent:main:main s1 1000
    touch "$HOME/file"
    MOON_HOME=$HOME/file/moon run "$bin/moon-sample"
    [ "$status" -eq 1 ]
    [[ "$output" == *"$HOME/file/moon"* ]]
    [[ "$output" == *"hint:"*MOON_HOME* ]]
    [[ "$output" != *Traceback* ]]
}

@test "a MOON_HOME without permission is named, with a hint" {
    make_session main agent:main:main s1 1000
    mkdir "$HOME/closed"
    chmod 0500 "$HOME/closed"
    # Permissions do not bind root, for whom this is simply a home like any other.
    MOON_HOME=$HOME/closed/moon run "$bin/moon-sample"
    if [ "$(id -u)" -eq 0 ]; then
        [ "$status" -eq 0 ]
    else
        [ "$status" -eq 1 ]
        [[ "$output" == *"hint:"*MOON_HOME* ]]
    fi
    chmod 0700 "$HOME/closed"
}

@test "what Moon writes is for its owner alone" {
    make_session main agent:main:main s1 40000
    later
    umask 022
    "$bin/moon-sample"
    [ -s "$MOON_HOME/archives/ledger.jsonl" ]
    [ -z "$(find "$MOON_HOME" -type d ! -perm 0700)" ]
    [ -z "$(find "$MOON_HOME" -type f ! -perm 0600)" ]
}
