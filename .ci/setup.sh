#!/bin/sh
# Installs, on Debian 12, what `make demo` and `make test` need and the machine lacks.
# Looks for the commands and files themselves, not for packages: another source is as good.
# Needs root or sudo only if something is missing. `setup.sh tests` adds what the whole suite
# needs, `setup.sh bench` what the benchmark needs.
set -eu

want=${1:-service}
missing= # nothing runs without these
lacking= # these serve a part: backups, .mdb files, the calls of README

absent() { # absent COMMAND...: none of the commands is there
    for command in "$@"; do
        if command -v "$command" >/dev/null 2>&1; then return 1; fi
    done
}
part() { if absent "$2"; then lacking="$lacking $1"; fi; } # part PACKAGE COMMAND

postgis=
for control in /usr/share/postgresql/*/extension/postgis.control; do
    version=${control#/usr/share/postgresql/}
    version=${version%%/*}
    if [ -e "$control" ] && [ "$version" -ge 15 ] &&
        [ -x "/usr/lib/postgresql/$version/bin/initdb" ]; then postgis=$version; fi
done
# an outside database or a PostgreSQL elsewhere needs none of Debian's
if [ -z "$postgis" ] && [ -z "${DATABASE_URL:-}${GEOSERVER_PY_DATABASE_URL:-}" ] &&
    [ -z "${GEOSERVER_PY_POSTGRES_BIN:-}" ]; then
    missing="$missing postgresql-15 postgresql-15-postgis-3"
fi
if command -v python3 >/dev/null 2>&1 &&
    ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "setup: $(python3 --version) is too old: Python 3.11 or newer must be the first python3" \
        "on PATH." >&2
    exit 1
fi
if ! python3 -c 'import venv, ensurepip' >/dev/null 2>&1; then missing="$missing python3-venv"; fi
part postgresql-client pg_dump
part gdal-bin ogr2ogr
part mdbtools mdb-export
part curl curl
if [ "$want" = tests ]; then
    # Playwright's own Node.js is linked against it
    atomic=
    for library in /usr/lib*/libatomic.so.1 /usr/lib/*/libatomic.so.1; do
        if [ -e "$library" ]; then atomic=$library; fi
    done
    if [ -z "$atomic" ]; then lacking="$lacking libatomic1"; fi
    if absent chromium; then lacking="$lacking chromium"; fi
    if absent fc-list || [ -z "$(fc-list :lang=zh-cn family)" ]; then
        lacking="$lacking fontconfig fonts-noto-cjk"
    fi
    # U+2348D of the village 輋𣒍村 lies outside the Noto fonts
    if absent fc-list || [ -z "$(fc-list :charset=2348d family)" ]; then
        lacking="$lacking fonts-hanazono"
    fi
    # the feature service that deliveries from a WFS are tested against
    if [ ! -x /usr/lib/cgi-bin/mapserv ]; then lacking="$lacking cgi-mapserver"; fi
fi
if [ "$want" = bench ]; then part wrk wrk; fi
[ -n "$missing$lacking" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif ! absent sudo && sudo -n true 2>/dev/null; then
    as_root=sudo
elif [ -z "$missing" ]; then # not worth a password at every start
    echo "setup: not installed:$lacking. It goes on without; 'sudo make setup' adds them." >&2
    exit 0
elif ! absent sudo && [ -t 0 ] && sudo -v; then
    as_root=sudo
else
    echo "setup: missing:$missing$lacking. This user is not root and may not use sudo: let an" \
        "administrator run 'make setup' here as root, or 'apt-get install$missing$lacking', once;" \
        "or, for the database alone, set DATABASE_URL to a PostGIS database that exists." >&2
    exit 1
fi
packages=$missing$lacking
if absent apt-get; then
    echo "setup: missing:$packages (Debian 12's names). There is no apt-get here: install what" \
        "your system calls them." >&2
    exit 1
fi

echo "setup: apt installs$packages; some minutes"
# the packages would otherwise make and start a cluster `main` of their own
folder=/etc/postgresql-common/createcluster.d
$as_root mkdir -p "$folder"
printf 'create_main_cluster = false\nstart_conf = manual\n' |
    $as_root tee "$folder/geoserver-py.conf" >/dev/null
said=$(mktemp) # a thousand lines, of interest only when it fails
trap 'rm -f "$said"' EXIT
trap 'exit 130' INT TERM HUP
apt() { # another apt, e.g. the daily upgrade, is waited for
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Use-Pty=0 "$@" </dev/null >>"$said" 2>&1
}
# shellcheck disable=SC2086  # a list of words
if ! apt update || ! apt install -y --no-install-recommends $packages; then
    tail -n 15 "$said" >&2
    echo "setup: apt could not install$packages: its last words are above; without network," \
        "install them by hand and start again." >&2
    exit 1
fi
