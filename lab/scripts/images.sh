#!/bin/bash
# Build what the lab runs on, from the packages of this machine's own distribution:
#
#   images.sh recipe             print the recipe's number: it changes when the result would
#   images.sh build DIR LABEL    make DIR/base.tar, a small root file system, and the image of a host
#   images.sh image_label LABEL  print the label that the image carries, where all else carries LABEL
#
# build prints a line for each change it makes; DOCKER_HOST names the engine.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
. /etc/os-release

base_packages=python3,ca-certificates
host_packages=systemd,systemd-sysv,dbus,udev,openssh-server,sudo,python3,python3-apt,iproute2,iptables,iputils-ping,ca-certificates

# This machine's own sources, in one-line form: apt reads either form of its files, and its Origin
# and Codename fields tell the distribution from other vendors. apt knows them once it has updated.
sources() {
    local keyring=/usr/share/keyrings/$ID-archive-keyring.gpg options=''
    [ ! -e "$keyring" ] || options="[signed-by=$keyring] "
    apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
        awk -v id="$ID" -v suite="$VERSION_CODENAME" -v options="$options" \
            'tolower($1) == id && index($2, suite) == 1 && $4 !~ /backports|proposed/ { print "deb " options $3, $4, $5 }' |
        sort -u
}

recipe() {
    {
        echo "$ID $VERSION_CODENAME $("$here/oci-runtime" needed)"
        cat "$here/images.sh" "$here/host-image.sh" "$here/oci-runtime"
    } | sha256sum | cut -c 1-12
}

# rootfs PACKAGES OUT [OPTION..]: a root file system without what only people read. Where apt knows no
# sources of the distribution, mmdebstrap takes the usual ones.
rootfs() {
    local packages=$1 out=$2 lines
    shift 2
    lines=$(sources)
    mmdebstrap --quiet --format=tar --variant=apt --include="$packages" \
        --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
        "$@" "$VERSION_CODENAME" "$out" ${lines:+-} <<<"$lines"
}

# Containers inherit an image's labels: with its own kind, whatever else runs from it is not taken for a host.
image_label() {
    echo "${1/=/.image=}"
}

build() {
    local dir=$1 label=$2 number
    number=$(recipe)
    if [ "$(cat "$dir/base.recipe" 2>/dev/null)" != "$number" ]; then
        rm -f "$dir/base.tar.new"
        rootfs "$base_packages" "$dir/base.tar.new" >&2 &
        base=$!
        trap 'kill "$base" 2>/dev/null || true' EXIT
    fi
    if ! docker image inspect "fliswarm-lab:$number" >/dev/null 2>&1; then
        # The package lists stay, so that a host installs its first package without fetching them.
        rootfs "$host_packages" - --skip=cleanup/apt/lists --customize-hook="$here/host-image.sh" |
            docker import --change "LABEL $(image_label "$label")" --change 'ENV container=docker' \
                --change 'CMD ["/sbin/init"]' - "fliswarm-lab:$number" >/dev/null
        echo "built the image fliswarm-lab:$number"
    fi
    if [ -n "${base:-}" ]; then
        wait "$base"
        mv "$dir/base.tar.new" "$dir/base.tar"
        echo "$number" >"$dir/base.recipe"
        echo "built $dir/base.tar"
    fi
}

"$@"
