#!/usr/bin/env bats
# The project's own Python environment: `make` sees when it does not work any more, and uninstalling does not need it.

load helper

# checkout: a copy of the checkout whose .venv was made whole, as its marks say, by a Python that is gone.
checkout() {
    mkdir -p "$HOME/checkout/.venv/bin"
    cp -R "$repo/bin" "$repo/lib" "$repo/schemas" "$repo/systemd" "$repo/launchd" "$repo/docs" "$repo/Makefile" \
        "$repo/pyproject.toml" "$HOME/checkout/"
    ln -s /nowhere/python3 "$HOME/checkout/.venv/bin/python"
    touch "$HOME/checkout/.venv/.core" "$HOME/checkout/.venv/.full" "$HOME/checkout/.venv/.made"
    cd "$HOME/checkout"
    # The one that runs the tests, without any package that is installed.
    bare=$("$python" -c 'import sys; print(sys.base_prefix)')/bin/python3
}

@test "an environment whose Python is gone is made anew" {
    checkout
    run make -n venv
    [ "$status" -eq 0 ]
    [[ "$output" == *"-m venv --clear .venv"*"pip install"*"-e '.[dev]'"* ]]
}

@test "an environment whose packages are gone is made anew" {
    checkout
    "$bare" -m venv --without-pip --clear .venv
    touch .venv/.core .venv/.full .venv/.made
    run make -n venv
    [[ "$output" == *"-m venv --clear .venv"* ]]
}

@test "an environment that works is only brought up to date" {
    checkout
    rm -r .venv
    ln -s "$repo/.venv" .venv
    touch -t 200001010000 pyproject.toml
    run make -n venv
    [[ "$output" == *"Nothing to be done"* ]]
    touch -t 203001010000 pyproject.toml
    run make -n venv
    [[ "$output" == *"pip install"* && "$output" != *"-m venv"* ]]
}

@test "uninstall works without an environment, without packages and without a package index" {
    checkout
    mkdir fakes
    printf '#!/bin/sh\n' >fakes/systemctl
    cp fakes/systemctl fakes/launchctl
    chmod +x fakes/systemctl fakes/launchctl
    PATH=$HOME/checkout/fakes:$PATH
    "$python" -E -s lib/launch.py install install --prefix "$HOME/prefix"
    [ -L "$HOME/prefix/bin/moon-recall" ]
    make -s uninstall PYTHON="$bare -S" PIP=false
    [ ! -e "$HOME/prefix" ]
}

@test "a tool whose packages are gone says what brings them back" {
    checkout
    mkdir -p "$MOON_HOME"
    echo "timezone: UTC" >"$MOON_HOME/moon.yaml"
    run "$bare" -S -E -s lib/launch.py sample
    [ "$status" -eq 78 ]
    [[ "$output" == *"hint: run \`make venv\` in $HOME/checkout"* ]]
}
