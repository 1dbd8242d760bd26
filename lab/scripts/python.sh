#!/bin/bash
# Print the path of a Python 3.13, the newest that fliswarm is tested with: the one that this machine has, or else
# Debian's, unpacked below DIR.
#
#   python.sh DIR
#
# Debian's runs on an older release with the C library that it came with, which only the program itself names: what
# it starts gets the machine's own.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
version=3.13
suite=trixie

for found in "python$version" python3; do
    if [ "$("$found" -c 'import sys, venv; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$version" ]; then
        command -v "$found"
        exit
    fi
done

. /etc/os-release
if [ "$ID" != debian ] || [ "$(id -u)" != 0 ]; then
    echo "PAIR=newest needs Python $version. Remedy: install it, so that python$version is found" >&2
    exit 1
fi
mkdir -p "$1"
root=$(cd "$1" && pwd)/$suite
made=$root/usr/bin/python$version
if [ ! -e "$root.made" ]; then
    if ! { command -v mmdebstrap && command -v patchelf; } >/dev/null; then
        { apt-get update --quiet && apt-get install --yes --quiet mmdebstrap patchelf; } >&2
    fi
    rm -rf "$root"
    "$here/images.sh" sources "$suite" |
        mmdebstrap --quiet --variant=extract --include="python$version-venv" "$suite" "$root" - >&2
    loader=$(find "$root/usr" -name 'ld-linux-*' -print -quit)
    libraries=$(dirname "$(find "$root/usr" -name 'libcrypto.so.3' -print -quit)")
    patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$made"
    # Debian takes pip for new environments from a folder of its own.
    sed -i "s#'/usr/share/python-wheels/'#'$root/usr/share/python-wheels/'#" "$root/usr/lib/python$version/"_sysconfigdata_*.py
    touch "$root.made"
fi
echo "$made"
