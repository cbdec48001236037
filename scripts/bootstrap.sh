#!/bin/sh
# Makes .venv (the app), .tools/emulator, .tools/sam, .tools/scan, .tools/docs, .tools/bench and .tools/fuzz from the hash-locked lists in locks/.
# Needs python3 and a package index. Says what is missing and how to get it; does nothing twice.
#   scripts/bootstrap.sh app|emulator|sam|scan|docs|bench|fuzz ...
#   scripts/bootstrap.sh path     prints the folders of uv and Python 3.13, for PATH: `sam build` looks there
set -eu
cd "$(dirname "$0")/.."
say() { printf '%s\n' "$*" >&2; }
die() { say "bootstrap: $*"; exit 2; }

find_uv() {
    if command -v uv >/dev/null 2>&1; then command -v uv; return; fi
    if [ ! -x .tools/uv/bin/uv ]; then
        command -v python3 >/dev/null 2>&1 || die "python3 is not on PATH; install Python 3 (any version from 3.9) and try again"
        say "bootstrap: installing uv into .tools/uv"
        rm -rf .tools/uv
        python3 -m venv .tools/uv >&2 || die "python3 has no venv module; install it (Debian: apt-get install python3-venv) and try again"
        .tools/uv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r locks/uv.txt >&2 \
            || die "could not install uv; check that a Python package index can be reached and try again"
    fi
    printf '%s\n' "$PWD/.tools/uv/bin/uv"
}

# A Python of version 3.$1: from PATH if it answers, from pyenv's versions (its shim may not answer).
python_here() {
    for p in "$(command -v "python3.$1" 2>/dev/null || true)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$1".*/bin/python3."$1"; do
        if [ -n "$p" ] && [ -x "$p" ] && "$p" -c "import sys; sys.exit(sys.version_info[:2] != (3, $1))" 2>/dev/null; then
            "$p" -c 'import sys; print(sys.executable)'; return
        fi
    done
    return 1
}

# Python 3.13, of this machine or uv's own.
find_python() {
    python_here 13 && return
    say "bootstrap: no Python 3.13 found; asking uv to fetch one"
    "$UV" python install 3.13 >&2 || die "Python 3.13 is missing and could not be fetched; install it (python.org, pyenv install 3.13, or your system's packages) and try again"
    "$UV" python find 3.13
}

make_env() { # folder, lock, python
    stamp="$1/.locked"
    want="$(cksum <"$2")"
    if [ "$1" = .venv ]; then want="$want $(grep '^version' pyproject.toml)"; fi
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then return; fi
    say "bootstrap: making $1 from $2"
    [ -x "$1/bin/python" ] || "$UV" venv --quiet --allow-existing --python "$3" "$1" >&2
    "$UV" pip sync --quiet --python "$1/bin/python" --require-hashes "$2" >&2 || die "could not install $2; check that a Python package index can be reached and try again"
    if [ "$1" = .venv ]; then
        "$UV" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --no-index -e . >&2
    fi
    printf '%s' "$want" >"$stamp"
}

# Bytewax has no wheel for 3.13; without a Python 3.12 the bench goes on and says that this peer is missing.
make_bytewax() {
    python312="$(python_here 12)" || { say "bootstrap: no Python 3.12 here, so bytewax is left out of the bench"; return; }
    make_env .tools/bytewax locks/bytewax.txt "$python312"
}

UV="$(find_uv)"
PYTHON="$(find_python)"
for part in "$@"; do
    case "$part" in
        app) make_env .venv locks/app.txt "$PYTHON" ;;
        emulator) make_env .tools/emulator locks/emulator.txt "$PYTHON" ;;
        sam) make_env .tools/sam locks/sam.txt "$PYTHON" ;;
        scan) make_env .tools/scan locks/scan.txt "$PYTHON" ;;
        docs) make_env .tools/docs locks/docs.txt "$PYTHON" ;;
        bench) make_env .tools/bench locks/bench.txt "$PYTHON"; make_bytewax ;;
        fuzz) make_env .tools/fuzz locks/fuzz.txt "$PYTHON" ;;
        path) printf '%s:%s\n' "$(dirname "$UV")" "$(dirname "$PYTHON")" ;;
        *) die "unknown part '$part'; choose app, emulator, sam, scan, docs, bench, fuzz or path" ;;
    esac
done
