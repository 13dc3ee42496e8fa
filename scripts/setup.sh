#!/usr/bin/env bash
# Everything `make demo`, `make test` and `make check` need, below this folder: .venv, .cache, node_modules.
# Each part has a stamp (the hash of what it was made from), so that a second run does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly COMET=github.com/cometbft/cometbft
readonly COMET_VERSION=v0.40.0
readonly STAMPS=.cache/stamps
readonly NPM_FLAGS=(--no-audit --no-fund --loglevel=error --omit-lockfile-registry-resolved)

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

fingerprint() { cat "$@" 2>/dev/null | sha256sum | cut -d' ' -f1; }
python_print() { fingerprint requirements.lock scripts/uv.requirements.txt pyproject.toml scripts/setup.sh; }
is_current() { [ -e "$STAMPS/$1" ] && [ "$(<"$STAMPS/$1")" = "$2" ]; }
stamp() { mkdir -p "$STAMPS" && printf '%s\n' "$2" >"$STAMPS/$1"; }

python_is_current() { [ -x .venv/bin/authnet ] && is_current python "$(python_print)"; }
go_is_current() { [ -x .cache/bin/cometbft ] && [ -x .cache/bin/abci-cli ] && is_current go "$COMET_VERSION"; }
npm_is_current() {
    [ ! -e "$1/package-lock.json" ] || { [ -d "$1/node_modules" ] && is_current "npm-${1//\//-}" "$(npm_print "$1")"; }
}
npm_print() { fingerprint "$1/package.json" "$1/package-lock.json"; }

# The first interpreter in PATH that is 3.11 or 3.12; a pyenv shim without a version behind it does not run.
find_python() {
    local name
    for name in ${PYTHON:-} python3 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
}

at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n1)" = "$1" ]; }

# One line per missing thing, then one line that says how to get them all.
check_tools() {
    local missing=() packages=() header
    PYTHON=$(find_python)
    if [ -z "$PYTHON" ]; then
        missing+=("Python 3.11 or 3.12") packages+=(python3 python3-venv python3-dev)
    else
        "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || { missing+=("Python's venv module"); packages+=(python3-venv); }
        header=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
        [ -e "$header" ] || { missing+=("Python.h"); packages+=(python3-dev); }
    fi
    if ! command -v cc >/dev/null; then
        missing+=("a C compiler (cc)") packages+=(gcc libc6-dev libgmp-dev)
    elif ! printf '#include <gmp.h>\n' | cc -E -x c - >/dev/null 2>&1; then
        missing+=("gmp.h") packages+=(libgmp-dev)
    fi
    if ! command -v go >/dev/null; then
        missing+=("Go 1.25 or newer") packages+=(golang-go)
    elif ! at_least 1.25 "$(go env GOVERSION | sed 's/^go//')"; then
        missing+=("Go 1.25 or newer (found $(go env GOVERSION))") packages+=(golang-go)
    fi
    if ! command -v node >/dev/null || ! at_least 20.19 "$(node --version | sed 's/^v//')"; then
        missing+=("Node 20.19 or newer") packages+=(nodejs)
    fi
    command -v npm >/dev/null || { missing+=("npm"); packages+=(npm); }
    if [ ${#missing[@]} -gt 0 ]; then
        die "missing: $(IFS=,; echo "${missing[*]}" | sed 's/,/, /g'). Try: sudo apt install ${packages[*]}"
    fi
}

set_up_python() {
    say "python: packages by hash from requirements.lock"
    [ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
    .venv/bin/python -m pip --disable-pip-version-check install -q --no-deps --require-hashes -r scripts/uv.requirements.txt
    UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=.venv .venv/bin/uv pip sync -q --python .venv/bin/python \
        --require-hashes --compile-bytecode requirements.lock
    UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=.venv .venv/bin/uv pip install -q --python .venv/bin/python \
        --no-deps --no-build-isolation --config-settings editable_mode=compat -e .
    stamp python "$(python_print)"
    say "python: done"
}

set_up_go() {
    say "go: cometbft $COMET_VERSION (about a minute the first time)"
    mkdir -p .cache/bin
    CGO_ENABLED=0 GOBIN="$PWD/.cache/bin" go install "$COMET/cmd/cometbft@$COMET_VERSION" "$COMET/abci/cmd/abci-cli@$COMET_VERSION"
    stamp go "$COMET_VERSION"
    say "go: done"
}

set_up_npm() {
    say "npm: $1"
    npm --prefix "$1" ci "${NPM_FLAGS[@]}" >/dev/null
    stamp "npm-${1//\//-}" "$(npm_print "$1")"
    say "npm: $1 done"
}

main() {
    local jobs=() job failed=0 folder
    local -r folders=(contracts tests/torusjs)
    python_is_current || jobs+=(set_up_python)
    go_is_current || jobs+=(set_up_go)
    for folder in "${folders[@]}"; do
        npm_is_current "$folder" || jobs+=("set_up_npm $folder")
    done
    [ ${#jobs[@]} -gt 0 ] || { say "everything is there"; return; }
    check_tools
    local pids=()
    for job in "${jobs[@]}"; do
        $job &
        pids+=($!)
    done
    for job in "${!pids[@]}"; do
        wait "${pids[$job]}" || { failed=1; printf 'setup: failed: %s\n' "${jobs[$job]#set_up_}" >&2; }
    done
    [ "$failed" = 0 ] || die "not complete; what was done stays done, run it again"
    say "ready in ${SECONDS} s"
}

main
