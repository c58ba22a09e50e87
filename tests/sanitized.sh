#!/usr/bin/env bash
# The C libraries under AddressSanitizer and UndefinedBehaviorSanitizer: their own tests, those of mixed files, the
# hostile ones, and mutated streams.
#
#     tests/sanitized.sh [PYTHON [STREAMS]]
#
# PYTHON has the package's dependencies and those of its tests.  STREAMS is the number of mutated streams, 2,000 if
# it is not given.
set -euo pipefail

python=$(command -v "${1:-python3}")
streams=${2:-2000}
root=$(cd "$(dirname "$0")/.." && pwd)
case "$python" in /*) ;; *) python=$PWD/$python ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compiler=${CC:-gcc}
flags=(-std=gnu11 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)

# A C program of its own, on every instruction set of this processor.
"$compiler" "${flags[@]}" "$root/tests/residual/every_isa.c" -o "$work/every_isa"
ASAN_OPTIONS=detect_leaks=0 "$work/every_isa"

# The package with such libraries, before any that is installed.
cp -r "$root/saidcodec" "$work/saidcodec"
rm -f "$work"/saidcodec/residual/_*.so
cp -r "$root/models" "$work/saidcodec/_models"
for name in _core _graphics _wide; do
    built=$work/saidcodec/residual/$name.abi3.so
    "$compiler" "${flags[@]}" -fPIC -shared "$root/saidcodec/residual/$name.c" -o "$built"
done
libraries="$("$compiler" -print-file-name=libasan.so) $("$compiler" -print-file-name=libubsan.so)"
cp -r "$root/tests" "$root/pyproject.toml" "$work"
run() {
    LD_PRELOAD=$libraries ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONPATH=$work \
        SAIDCODEC_ENGINE=core "$python" "$@"
}
cd "$work"
run -c "from saidcodec.residual import core; assert core.__file__.startswith('$work'), core.__file__"
run -c "from saidcodec.residual import graphics, wide; assert graphics.library() and wide.library()"
residual=$(echo tests/residual/test_{engine,decided,graphics,mixed,wide}.py)
run -m pytest -p no:cacheprovider $residual tests/test_{hostile,wide}.py
run tests/fuzz_core.py "$streams"
