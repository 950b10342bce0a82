# What every script here shares: where things are, and how a step speaks.  Sourced, not run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

TOP=$PWD
WORK=$TOP/.work                 # everything made by a run; `make clean` removes it
LOGS=$WORK/logs                 # one log per step, read by tools/tally
VENV=$WORK/venv                 # PyPI's newest releases
DEBIAN_PYTHON=/usr/bin/python3  # Debian's own packages, never another python3 on PATH
export PYTHONPYCACHEPREFIX=$WORK/pycache DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

say() { printf '== %s\n' "$*" >&2; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

need_root() {
    [ "$(id -u)" = 0 ] || die "this needs root ($1); run it as: sudo make ${2:-test}"
}

# A command in the system under $1, without this machine's environment.
in_root() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
        ${http_proxy:+http_proxy="$http_proxy"} chroot "$@"
}

# The test packages and modules that need nothing but Python.
unit_packages() {
    local path
    for path in tests/*/__init__.py tests/test_*.py; do
        case $path in
            tests/lab/* | tests/package/* | 'tests/test_*.py') ;;
            */__init__.py) path=${path%/__init__.py}; echo "${path//\//.}" ;;
            *) path=${path%.py}; echo "${path//\//.}" ;;
        esac
    done
}

# A clean copy of the tree, so that builds leave nothing behind in it.
copy_tree() {
    rm -rf "$1" && mkdir -p "$1"
    tar --exclude-vcs --exclude=./.work --exclude=__pycache__ --exclude='./.*_cache' \
        --exclude='_trial_temp*' --exclude='*.egg-info' --exclude=dropin.cache \
        --exclude=./build --exclude=.hypothesis -cf - . | tar -xf - -C "$1"
}

if ! mkdir -p "$LOGS" 2>/dev/null || [ ! -w "$LOGS" ]; then
    die "$WORK belongs to another user; remove it first: sudo make clean"
fi
