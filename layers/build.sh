#!/bin/sh
# Makes one layer from its hash-locked list: wheels for Lambda's Linux, without what no function imports, with .pyc.
#   sh build.sh runtime|onnx OUT
set -eu
name="$1" out="$2" site="$2/python"
missing() { printf 'layers: %s is not on PATH; run `make build`, which finds it\n' "$1" >&2; exit 2; }
command -v uv >/dev/null 2>&1 || missing uv
command -v python3.13 >/dev/null 2>&1 || missing python3.13

rm -rf "$site"
# Copies, not hard links: stripping would reach into uv's cache and every environment made from it.
uv pip install --quiet --link-mode copy --python "$(command -v python3.13)" --target "$site" --no-deps --require-hashes --only-binary :all: \
    --python-platform x86_64-manylinux_2_28 --python-version 3.13 -r "$name/requirements.txt"
cd "$site"

# Scripts, tests, type stubs, headers, static libraries, and the records of files that are no longer all there.
rm -rf bin .lock
find . -type d \( -name tests -o -name __pycache__ -o -name include \) -prune -exec rm -rf {} +
find . -type f \( -name '*.pyi' -o -name '*.a' -o -name '*.h' -o -name '*_tests*.so' \) -delete
find . -type f -path '*.dist-info/*' \( -name RECORD -o -name INSTALLER -o -name REQUESTED -o -name direct_url.json \) -delete
case "$name" in
    runtime)
        rm -rf numpy/f2py numpy/distutils numpy/doc numpy/_pyinstaller numpy/random
        ;;
    onnx)
        # InferenceSession needs the extension and seven modules; the rest quantises, benchmarks and converts models.
        mkdir keep
        for module in __init__ _ld_preload _pybind_state build_and_package_info onnxruntime_collect_build_info \
            onnxruntime_inference_collection onnxruntime_validation; do
            [ ! -f "onnxruntime/capi/$module.py" ] || mv "onnxruntime/capi/$module.py" keep/
        done
        mv onnxruntime/capi/onnxruntime_pybind11_state*.so keep/
        mv onnxruntime/capi/libonnxruntime_providers_shared.so keep/ # 15 kB; without it every start logs a warning
        mv onnxruntime/__init__.py onnxruntime/LICENSE onnxruntime/ThirdPartyNotices.txt .
        rm -rf onnxruntime
        mkdir onnxruntime
        mv __init__.py LICENSE ThirdPartyNotices.txt onnxruntime/
        mv keep onnxruntime/capi
        ;;
esac
if command -v strip >/dev/null 2>&1; then
    find . -type f -name '*.so*' -exec strip --strip-unneeded {} +
else
    printf 'layers: no strip on PATH (binutils), so the %s layer stays larger than it need be\n' "$name" >&2
fi

# /opt is read-only on Lambda: without .pyc every cold start would compile. Unchecked: the date in a zip means nothing.
python3.13 -m compileall -q --invalidation-mode unchecked-hash -s "$out" -p /opt "$site"
