#!/bin/sh
# Re-resolves every lock (hashes, no registry addresses). Run after a change to pyproject.toml or locks/*.in.
set -eu
cd "$(dirname "$0")/.."
UV="${UV:-$(command -v uv || echo .tools/uv/bin/uv)}"
compile() { "$UV" pip compile --quiet --generate-hashes --no-header --no-emit-index-url --no-annotate --python-version 3.13 "$@"; }
compile --universal pyproject.toml --group dev -o locks/app.txt
compile --universal locks/emulator.in -o locks/emulator.txt
compile --universal locks/sam.in -o locks/sam.txt
compile --universal locks/uv.in -o locks/uv.txt
compile --universal -c locks/app.txt --group pyproject.toml:bench -o locks/bench.txt
compile --universal --python-version 3.12 locks/bytewax.in -o locks/bytewax.txt
# The layers take their versions from the app's lock, so what is tested is what ships.
layer() { # name, options...
    name="$1"; shift
    compile "$@" -c locks/app.txt --python-platform x86_64-manylinux_2_28 "layers/$name/requirements.in" -o "layers/$name/requirements.txt"
}
layer runtime
layer onnx --no-deps # InferenceSession needs none of onnxruntime's requirements but numpy, and RuntimeLayer has that
