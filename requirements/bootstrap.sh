#!/bin/sh
# Make .venv, with pip and uv in it: with the Python named in $PYTHON, otherwise with the first that fits.
# The Makefile calls this from the top of the repository.
set -eu

probe='import sys; print("%d.%d.%d" % sys.version_info[:3])'
fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
has_venv='import venv, ensurepip'

fail() {
    printf '\n%s\n\n' "$*" >&2
    exit 1
}

# Sets $python. A name on the PATH proves nothing (it may be a shim of an absent version), so each is run.
find_python() {
    found=
    without_venv=
    for python in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        version=$("$python" -c "$probe" 2>/dev/null) || continue
        found="$found $python is $version;"
        "$python" -c "$fits" || continue
        "$python" -c "$has_venv" 2>/dev/null && return
        without_venv="$without_venv $python"
    done
    found="Found:${found:- none of ${PYTHON:-python3.13, python3.12, python3.11, python3}}"
    if [ -n "$without_venv" ]; then
        fail "This needs Python's modules venv and ensurepip, which are missing from:$without_venv.
On Debian and Ubuntu, install them with: sudo apt-get install python3-venv"
    fi
    fail "This needs Python 3.11, 3.12 or 3.13. ${found%;}.
Install one of them; if it is not on the PATH, name it: make book PYTHON=/path/to/python3.12"
}

if [ "$(uname -s) $(uname -m)" = "Darwin x86_64" ]; then
    fail "TensorFlow is no longer built for Macs with an Intel processor (2.16 was the last version).
Use Linux, in a container for example, or a Mac with Apple silicon and its own Python."
fi

# Exists and works: the Python it was made from may have gone since.
if .venv/bin/python -m pip --version >/dev/null 2>&1; then
    .venv/bin/python -c "$fits" || fail "The Python in .venv is $(.venv/bin/python -c "$probe").
This needs 3.11, 3.12 or 3.13: delete .venv and try again."
else
    find_python
    echo "Making .venv with $python ($version)"
    "$python" -m venv --clear .venv
fi

# pip installs one package, uv, and uv the rest, several times faster.
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --only-binary :all: --no-deps --require-hashes -r requirements/uv.txt
