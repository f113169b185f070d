#!/usr/bin/env bats
# make install and make uninstall, with a systemctl that only writes down what it is asked.

load helper

prepare() {
    mkdir -p "$HOME/fakes"
    printf '#!/bin/sh\necho "$*" >>"%s/record"\n' "$BATS_TEST_TMPDIR" >"$HOME/fakes/systemctl"
    cp "$HOME/fakes/systemctl" "$HOME/fakes/launchctl"
    chmod +x "$HOME/fakes/systemctl" "$HOME/fakes/launchctl"
    PATH=$HOME/fakes:$PATH
    unset MOON_HOME
}

everything() { find "$HOME" | sort; find "$HOME" -type f -exec cksum {} + | sort; }

@test "install, use, uninstall: nothing is left but what was there" {
    prepare
    everything >"$BATS_TEST_TMPDIR/before"
    make -s -C "$repo" install PREFIX="$HOME/pre fix"
    run "$HOME/pre fix/bin/moon-recall" --version
    [ "$status" -eq 0 ]
    [ -s "$BATS_TEST_TMPDIR/record" ]
    make -s -C "$repo" uninstall
    everything >"$BATS_TEST_TMPDIR/after"
    diff "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
}

@test "a second install says that there is nothing to do" {
    prepare
    make -s -C "$repo" install PREFIX="$HOME/.local"
    run make -s -C "$repo" install PREFIX="$HOME/.local"
    [ "$status" -eq 0 ]
    [[ "$output" != *"made "* ]]
}

@test "uninstall without an install is no error" {
    prepare
    run make -s -C "$repo" uninstall
    [ "$status" -eq 0 ]
}
