# Installs fliswarm and what it needs from a tar of wheels: install.sh HOME PYTHON TAR STAMP
set -eu
home=$1 python=$2 tar=$3 stamp=$4
wheels=$(mktemp -d)
trap 'rm -rf "$wheels" "$tar"' EXIT
tar -xf "$tar" -C "$wheels"
# An environment made for another Python finds none of its packages.
[ -d "$home/lib/python$python/site-packages" ] || python3 -m venv --clear "$home"
rm -f "$home/bundle"
find "$wheels" -name '*.whl' -exec "$home/bin/python" -m pip install --quiet --no-index \
    --no-deps --force-reinstall --disable-pip-version-check {} +
echo "$stamp" >"$home/bundle"
