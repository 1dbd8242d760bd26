# shellcheck shell=sh
# Installs fliswarm and what it needs from a tar of wheels: install.sh HOME PYTHON TAR STAMP
set -eu
home=$1 python=$2 tar=$3 stamp=$4
# What a run that was killed has begun goes on until it ends, and takes the tar with it.
exec 9>/run/fliswarm-provision.lock
flock 9
# Of all that is installed; what Python has compiled of it comes and goes. controller_probe.py has the same.
sum() {
    (cd "$home" && find . -type f ! -name '*.pyc' ! -path './bundle*' | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum)
}
[ "$(cat "$home/bundle.sum" 2>/dev/null)" = "$(sum 2>/dev/null)" ] || rm -f "$home/bundle"
if [ "$(cat "$home/bundle" 2>/dev/null)" = "$stamp" ] && [ -e "$home/bin/fliswarm" ]; then
    ln -sfn "$home/bin/fliswarm" /usr/local/bin/fliswarm
    rm -f "$tar"
    exit 0
fi
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
tar -xf "$tar" -C "$wheels"
# An environment made for another Python finds none of its packages; without a stamp its making was interrupted.
if [ ! -d "$home/lib/python$python/site-packages" ] || [ ! -e "$home/bundle" ]; then
    python3 -m venv --clear "$home"
fi
rm -f "$home/bundle"
pip() {
    "$home/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps "$@"
}
pip "$wheels"/*.whl
# The same version may hold another fliswarm; of its dependencies that is never so.
pip --force-reinstall "$wheels"/fliswarm-*.whl
ln -sfn "$home/bin/fliswarm" /usr/local/bin/fliswarm
sum >"$home/bundle.sum"
echo "$stamp" >"$home/bundle"
rm -f "$tar"
