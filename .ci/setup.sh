#!/bin/sh
# Installs, on Debian 12, what `make demo` and `make test` need and the machine lacks.
# Looks for the commands and files themselves, not for packages: another source is as good.
# Needs root or sudo only if something is missing. `setup.sh browser` adds what browser tests need,
# `setup.sh bench` what the benchmark needs.
set -eu

want=${1:-service}
missing=

need() { # need PACKAGE COMMAND...: any of the commands will do
    package=$1
    shift
    for command in "$@"; do
        if command -v "$command" >/dev/null 2>&1; then return; fi
    done
    missing="$missing $package"
}

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
need postgresql-client pg_dump
need gdal-bin ogr2ogr
need mdbtools mdb-export
if command -v python3 >/dev/null 2>&1 &&
    ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "setup: $(python3 --version) is too old: Python 3.11 or newer must be the first python3" \
        "on PATH." >&2
    exit 1
fi
if ! python3 -c 'import venv, ensurepip' >/dev/null 2>&1; then missing="$missing python3-venv"; fi
if [ -e geoserver_py/portal/package-lock.json ]; then
    need nodejs node nodejs-current
    need npm npm
fi
if [ "$want" = browser ]; then
    need chromium chromium google-chrome
    if ! command -v fc-list >/dev/null 2>&1 || [ -z "$(fc-list :lang=zh-cn family)" ]; then
        missing="$missing fontconfig fonts-noto-cjk"
    fi
    # U+2348D of the village 輋𣒍村 lies outside the Noto fonts
    if ! command -v fc-list >/dev/null 2>&1 || [ -z "$(fc-list :charset=2348d family)" ]; then
        missing="$missing fonts-hanazono"
    fi
fi
if [ "$want" = bench ]; then need wrk wrk; fi
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    as_root=sudo
else
    echo "setup: missing:$missing. Run 'make setup' as root or with sudo once; or, for the" \
        "database alone, set DATABASE_URL to a PostGIS database that exists." >&2
    exit 1
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: missing:$missing (Debian 12's names). There is no apt-get here: install what" \
        "your system calls them." >&2
    exit 1
fi

echo "setup: installing$missing"
# the packages would otherwise make and start a cluster `main` of their own
folder=/etc/postgresql-common/createcluster.d
$as_root mkdir -p "$folder"
printf 'create_main_cluster = false\nstart_conf = manual\n' |
    $as_root tee "$folder/geoserver-py.conf" >/dev/null
install() {
    # shellcheck disable=SC2086  # a list of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        $missing </dev/null
}
if ! $as_root apt-get update -qq || ! install; then
    echo "setup: apt could not install$missing: see its message above; without network, install" \
        "them by hand and start again." >&2
    exit 1
fi
