#!/bin/bash
# Build what the lab runs on, from the packages of this machine's own distribution and release. Where a
# SUITE can be named, it is another release: of Debian on a Debian machine, else any that mmdebstrap knows.
#
#   images.sh recipe [SUITE]       print the recipe's number: it changes when the result would
#   images.sh build DIR LABEL      make DIR/base.tar, a small root file system, and the image of a host
#   images.sh host LABEL [SUITE]   make the image of a host alone, fliswarm-lab:RECIPE
#   images.sh image_label LABEL    print the label that the image carries, where all else carries LABEL
#
# build and host print a line for each change they make; DOCKER_HOST names the engine.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
. /etc/os-release

base_packages=python3,ca-certificates
host_packages=systemd,systemd-sysv,dbus,udev,openssh-server,sudo,python3,python3-apt,iproute2,iptables,iputils-ping,ca-certificates

# sources SUITE: this machine's own in one-line form, with the names of the suite's archives. apt reads either
# form of its files, and its Origin and Codename fields tell the distribution from other vendors. apt knows
# them once it has updated.
sources() {
    local keyring=/usr/share/keyrings/$ID-archive-keyring.gpg options=''
    [ "$ID" = debian ] || [ "$1" = "$VERSION_CODENAME" ] || return 0
    [ ! -e "$keyring" ] || options="[signed-by=$keyring] "
    apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
        awk -v id="$ID" -v own="$VERSION_CODENAME" -v suite="$1" -v options="$options" \
            'tolower($1) == id && index($2, own) == 1 && $4 !~ /backports|proposed/ {
                sub("^" own, suite, $4); print "deb " options $3, $4, $5 }' |
        sort -u
}

recipe() {
    {
        echo "$ID ${1:-$VERSION_CODENAME} $("$here/oci-runtime" needed)"
        cat "$here/images.sh" "$here/host-image.sh" "$here/oci-runtime"
    } | sha256sum | cut -c 1-12
}

# rootfs SUITE PACKAGES OUT [OPTION..]: a root file system without what only people read. Where apt knows no
# sources of the suite, mmdebstrap takes the usual ones.
rootfs() {
    local suite=$1 packages=$2 out=$3 lines
    shift 3
    lines=$(sources "$suite")
    mmdebstrap --quiet --format=tar --variant=apt --include="$packages" \
        --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
        "$@" "$suite" "$out" ${lines:+-} <<<"$lines"
}

# Containers inherit an image's labels: with its own kind, whatever else runs from it is not taken for a host.
image_label() {
    echo "${1/=/.image=}"
}

# The package lists and some packages stay, so that a host installs them without fetching anything. Two
# scenarios may ask for one image at once.
host() {
    local label=$1 suite=${2:-$VERSION_CODENAME} image made
    image=fliswarm-lab:$(recipe "$suite")
    exec 8<"$here/images.sh"
    flock 8
    if ! docker image inspect "$image" >/dev/null 2>&1; then
        # It gets its name when it is whole: an import takes what there is of an archive that was cut off.
        made=$(rootfs "$suite" "$host_packages" - --skip=cleanup/apt/lists,cleanup/apt/cache --customize-hook="$here/host-image.sh" |
            docker import --change "LABEL $(image_label "$label")" --change 'ENV container=docker' \
                --change 'CMD ["/sbin/init"]' -)
        docker tag "$made" "$image"
        echo "built the image $image"
    fi
    exec 8<&-
}

build() {
    local dir=$1 label=$2 number
    number=$(recipe)
    if [ "$(cat "$dir/base.recipe" 2>/dev/null)" != "$number" ]; then
        rm -f "$dir/base.tar.new"
        rootfs "$VERSION_CODENAME" "$base_packages" "$dir/base.tar.new" >&2 &
        base=$!
        trap 'kill "$base" 2>/dev/null || true' EXIT
    fi
    host "$label"
    if [ -n "${base:-}" ]; then
        wait "$base"
        mv "$dir/base.tar.new" "$dir/base.tar"
        echo "$number" >"$dir/base.recipe"
        echo "built $dir/base.tar"
    fi
}

"$@"
