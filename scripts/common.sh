# Sourced by the other scripts: what they need installed, asked for only when it is missing.
# shellcheck shell=bash

CHECKOUT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="${FTPFS_VENV:-$CHECKOUT/.venv}"

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# require_root WHAT-FOR: ends with one line where there is neither root nor sudo.
require_root() {
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
        die "$1 needs root, and there is no sudo here"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# -- Debian packages ------------------------------------------------------------------------------

apt_has() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# first_package NAME...: the one that is installed, else the first that apt can get. Debian and
# Ubuntu renamed libraries with 64-bit times (libfuse2 is libfuse2t64).
first_package() {
    local name
    for name in "$@"; do
        if apt_has "$name"; then
            echo "$name"
            return
        fi
    done
    for name in "$@"; do
        # Not grep -q: apt-cache would die of the closed pipe, and pipefail calls that a no.
        if apt-cache policy "$name" 2>/dev/null | grep '^  Candidate: [^(]' >/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "$1"
}

# Stale lists are no reason to give up: the install decides. Its words are kept for that case.
apt_update() {
    [ -z "${APT_UPDATED:-}" ] || return 0
    APT_UPDATED=1
    as_root apt-get update -qq >/dev/null 2>&1 || say "apt-get update failed; trying without"
}

# ensure_apt PACKAGE...: install those that are missing. A/B stands for one package under two
# names.
ensure_apt() {
    if ! command -v apt-get >/dev/null; then
        say "no apt-get here: taking for granted that these are installed: $*"
        return 0
    fi
    local wanted missing=()
    for wanted in "$@"; do
        # shellcheck disable=SC2086  # split at the slash
        apt_has "$(first_package ${wanted//\// })" || missing+=("$wanted")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    require_root "installing ${missing[*]}"
    say "installing ${missing[*]}"
    apt_update
    local packages=()
    for wanted in "${missing[@]}"; do
        # shellcheck disable=SC2086
        packages+=("$(first_package ${wanted//\// })")
    done
    local said
    if ! said="$(as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${packages[@]}" 2>&1)"; then
        say "$said"
        die "could not install ${packages[*]}"
    fi
}

# ensure_apt_idle PACKAGE SERVICE: like ensure_apt, but the service it brings is neither started
# nor enabled. One that was there before is left as it is.
ensure_apt_idle() {
    if ! command -v apt-get >/dev/null || apt_has "$1"; then
        ensure_apt "$1"
        return
    fi
    require_root "installing $1"
    local guard=/usr/sbin/policy-rc.d made=
    if [ ! -e "$guard" ]; then
        # Debian's way to say "start nothing": apt's scripts ask this program first.
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$guard" >/dev/null
        as_root chmod 755 "$guard"
        made=1
        # shellcheck disable=SC2064
        trap "as_root rm -f $guard" EXIT
    fi
    ensure_apt "$1"
    if [ -n "$made" ]; then
        as_root rm -f "$guard"
        trap - EXIT
    fi
    if [ -d /run/systemd/system ]; then
        as_root systemctl disable "$2" >/dev/null 2>&1 || true
    fi
}

# -- FTP servers of the tests ---------------------------------------------------------------------

# Debian lets only one FTP server be installed at a time. These are unpacked into a directory of
# the user's cache instead, and only the libraries they need are installed.
UNPACKED=(proftpd-core proftpd-mod-crypto pure-ftpd pure-ftpd-common)
export FTPFS_TEST_SERVERS="${FTPFS_TEST_SERVERS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/ftpfs-tests/servers}"

# Whether they are there and find their libraries. A new release of Debian has other ones.
unpacked_run() {
    "$FTPFS_TEST_SERVERS/usr/sbin/proftpd" --version >/dev/null 2>&1 &&
        "$FTPFS_TEST_SERVERS/usr/sbin/pure-ftpd" --help >/dev/null 2>&1 &&
        [ -e "$FTPFS_TEST_SERVERS/usr/lib/proftpd/mod_tls.so" ] &&
        [ -x "$FTPFS_TEST_SERVERS/usr/bin/pure-pw" ]
}

# The libraries that apt knows the packages to depend on.
libraries_of() {
    local list=(--no-pre-depends --no-recommends --no-suggests --no-conflicts --no-breaks
        --no-replaces --no-enhances)
    apt-cache depends "${list[@]}" "$@" | sed -n 's/^ *Depends: \(lib[^ ]*\)$/\1/p' | sort -u
}

# ensure_unpacked: ProFTPD and Pure-FTPd can be started from $FTPFS_TEST_SERVERS.
ensure_unpacked() {
    unpacked_run && return
    command -v apt-get >/dev/null ||
        die "the tests want ProFTPD and Pure-FTPd in $FTPFS_TEST_SERVERS, unpacked from their packages"
    say "unpacking ${UNPACKED[*]} into $FTPFS_TEST_SERVERS"
    apt_update
    # shellcheck disable=SC2046  # split at blanks
    ensure_apt $(libraries_of "${UNPACKED[@]}")
    local fresh package
    mkdir -p "$(dirname "$FTPFS_TEST_SERVERS")"
    fresh="$(mktemp -d "$FTPFS_TEST_SERVERS.XXXXXX")"
    download_into "$fresh" "${UNPACKED[@]}"
    for package in "$fresh"/*.deb; do
        dpkg-deb -x "$package" "$fresh"
        rm "$package"
    done
    rm -rf "$FTPFS_TEST_SERVERS"
    mv "$fresh" "$FTPFS_TEST_SERVERS"
    unpacked_run || die "ProFTPD and Pure-FTPd do not start from $FTPFS_TEST_SERVERS"
}

# download_into DIRECTORY PACKAGE...
download_into() {
    local directory="$1" said
    shift
    if ! said="$(cd "$directory" && apt-get download -qq "$@" 2>&1)"; then
        rm -rf "$directory"
        say "$said"
        die "could not download $*"
    fi
}

# -- Python ---------------------------------------------------------------------------------------

# Prints the first Python that runs and is new enough. A shim of a version manager may be there
# and yet have no Python behind it.
find_python() {
    local python
    for python in ${FTPFS_PYTHON:+"$FTPFS_PYTHON"} python3 /usr/bin/python3 \
        python3.14 python3.13 python3.12 python3.11; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            echo "$python"
            return
        fi
    done
    return 1
}

python_or_die() {
    if ! find_python; then
        die "ftpfs needs Python 3.11 or later; python3 here is $(python3 -V 2>&1 | tail -n 1)"
    fi
}

# ensure_venv EXTRAS: the private virtual environment holds this checkout and the extras.
ensure_venv() {
    local stamp="$VENV/.ftpfs-$1" state
    state="$CHECKOUT $(cksum <"$CHECKOUT/pyproject.toml")"
    if [ "$(cat "$stamp" 2>/dev/null)" = "$state" ] && "$VENV/bin/python" -c '' 2>/dev/null; then
        return
    fi
    "$VENV/bin/python" -m pip --version >/dev/null 2>&1 || make_venv
    say "installing ftpfs with $1 into $VENV"
    local said
    # compat: a plain path. The other kind imports a finder at each start, 10 ms that no user's
    # installation has.
    if ! said="$("$VENV/bin/python" -m pip install --quiet --no-input \
        --disable-pip-version-check --config-settings editable_mode=compat -e "${CHECKOUT}[$1]" 2>&1)"; then
        say "$said"
        die "could not install ftpfs with $1 into $VENV"
    fi
    echo "$state" >"$stamp"
}

make_venv() {
    command -v python3 >/dev/null || ensure_apt python3
    local python said
    python="$(python_or_die)"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        ensure_apt python3-venv # Debian ships ensurepip apart
    fi
    if [ -e "$VENV" ] && [ ! -e "$VENV/pyvenv.cfg" ]; then
        die "$VENV is there and is no virtual environment: set FTPFS_VENV to another place"
    fi
    if ! said="$("$python" -m venv --clear "$VENV" 2>&1)"; then
        say "$said"
        die "could not make a virtual environment in $VENV"
    fi
}

# -- FUSE -----------------------------------------------------------------------------------------

# Something to mount with, or one line that says what is missing.
require_fuse() {
    if [ ! -e /dev/fuse ] && [ "$(id -u)" -eq 0 ]; then
        modprobe fuse 2>/dev/null || true
    fi
    [ -e /dev/fuse ] ||
        die "no /dev/fuse: load the fuse module, or start the container with --device /dev/fuse"
    if [ -r /dev/fuse ] && [ -w /dev/fuse ] && ! (: <>/dev/fuse) 2>/dev/null; then
        die "no /dev/fuse: it does not open; a container needs --device /dev/fuse --cap-add SYS_ADMIN"
    fi
}
