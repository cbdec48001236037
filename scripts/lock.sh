#!/bin/sh
# Re-resolves every lock (hashes, no registry addresses). Run after a change to pyproject.toml or locks/*.in.
set -eu
cd "$(dirname "$0")/.."
UV="${UV:-$(command -v uv || echo .tools/uv/bin/uv)}"
compile() { # Python's version, options...
    version="$1"; shift
    "$UV" pip compile --quiet --generate-hashes --no-header --no-emit-index-url --no-annotate --python-version "$version" "$@"
}
compile 3.13 --universal pyproject.toml --group dev -o locks/app.txt
compile 3.13 --universal locks/emulator.in -o locks/emulator.txt
compile 3.13 --universal locks/sam.in -o locks/sam.txt
compile 3.13 --universal locks/scan.in -o locks/scan.txt
compile 3.13 --universal locks/docs.in -o locks/docs.txt
compile 3.13 --universal locks/fuzz.in -o locks/fuzz.txt
compile 3.13 --universal locks/uv.in -o locks/uv.txt
compile 3.13 --universal -c locks/app.txt --group pyproject.toml:bench -o locks/bench.txt
compile 3.12 --universal locks/bytewax.in -o locks/bytewax.txt
# The layers take their versions from the app's lock, so what is tested is what ships.
layer() { # name, options...
    name="$1"; shift
    compile 3.13 "$@" -c locks/app.txt --python-platform x86_64-manylinux_2_28 "layers/$name/requirements.in" -o "layers/$name/requirements.txt"
}
layer runtime
layer onnx --no-deps # InferenceSession needs none of onnxruntime's requirements but numpy, and RuntimeLayer has that
