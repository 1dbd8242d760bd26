#!/bin/bash
# Build what the lab runs on, from the packages of this machine's own distribution:
#
#   images.sh recipe             print the recipe's number: it changes when the result would
#   images.sh build DIR LABEL    make DIR/base.tar, a small root file system, and the image of a host
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
    local keyring=/usr/share/keyrings/$ID-archive-keyring.gpg options=() lines
    [ ! -e "$keyring" ] || options+=("signed-by=$keyring")
    lines=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Identifier: Packages' | sort -u |
        awk -v id="$ID" -v suite="$VERSION_CODENAME" -v options="${options[*]+[${options[*]}] }" \
            'tolower($1) == id && index($2, suite) == 1 && $4 !~ /backports|proposed/ { print "deb " options $3, $4, $5 }')
    if [ -z "$lines" ]; then
        echo "apt knows no package source of $PRETTY_NAME itself. Remedy: apt-get update, then again." >&2
        exit 1
    fi
    echo "$lines"
}

# Without a full capability bounding set, containers in the hosts need the runtime that the engine itself needs.
runtime() {
    local full=$(( (1 << ($(cat /proc/sys/kernel/cap_last_cap) + 1)) - 1 ))
    if (( (16#$(awk '/^CapBnd:/ { print $2 }' /proc/self/status) & full) != full )); then
        echo "$here/oci-runtime"
    fi
}

recipe() {
    { echo "$ID $VERSION_CODENAME $(runtime)"; cat "$here/images.sh" "$here/host-image.sh" "$here/oci-runtime"; } |
        sha256sum | cut -c 1-12
}

# rootfs PACKAGES OUT [OPTION..]: a root file system without what only people read.
rootfs() {
    local packages=$1 out=$2
    shift 2
    sources | mmdebstrap --quiet --format=tar --variant=apt --include="$packages" \
        --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
        "$@" "$VERSION_CODENAME" "$out" -
}

build() {
    local dir=$1 label=$2 number
    number=$(recipe)
    if [ "$(cat "$dir/base.recipe" 2>/dev/null)" != "$number" ]; then
        rootfs "$base_packages" "$dir/base.tar.new" >&2 &
        base=$!
        trap 'kill "$base" 2>/dev/null || true' EXIT
    fi
    if ! docker image inspect "fliswarm-lab:$number" >/dev/null 2>&1; then
        # The package lists stay, so that a host installs its first package without fetching them.
        LAB_RUNTIME=$(runtime) rootfs "$host_packages" - --skip=cleanup/apt/lists --customize-hook="$here/host-image.sh" |
            docker import --change "LABEL $label" --change 'ENV container=docker' --change 'CMD ["/sbin/init"]' \
                - "fliswarm-lab:$number" >/dev/null
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
