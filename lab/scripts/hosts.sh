#!/bin/bash
# The hosts of the lab: containers with systemd and sshd on a network of their own.
#
#   hosts.sh up LABEL DIR PREFIX "NAME .."    make the network and these hosts what they are to be
#   hosts.sh down LABEL                       remove everything that carries the label
#
# Each prints a line for each change it makes; DOCKER_HOST names the engine, DIR is the lab's state.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)

# address PREFIX NAME
address() {
    case $2 in
    manager) echo "$1.10" ;;
    *) echo "$1.$((10 + ${2#gfa}))" ;;
    esac
}

remove() {
    docker rm --force "$1" >/dev/null
    docker volume rm --force "$1" >/dev/null
    echo "removed $1"
}

# create NAME ADDRESS LABEL IMAGE DIR. Images and containers of a host's own Docker Engine need a
# file system that is not an overlay: /var/lib/docker is a volume. The outer engine writes /etc/hosts
# anew at each start, unless it is a file of our own.
create() {
    local container=fliswarm-lab-$1 hosts=$5/hosts/$1
    mkdir -p "$5/hosts"
    printf '%s\n' '127.0.0.1 localhost' '::1 localhost' "$2 $1" >"$hosts"
    docker run --detach --name "$container" --hostname "$1" --label "$3" \
        --network fliswarm-lab --ip "$2" --network-alias "$1" \
        --privileged --cgroupns private --stop-signal SIGRTMIN+3 --restart always \
        --tmpfs /run --tmpfs /run/lock --tmpfs /tmp:exec \
        --mount "type=volume,source=$container,target=/var/lib/docker,volume-label=$3" \
        --mount "type=volume,source=fliswarm-lab-data,target=/data,volume-label=$3" \
        --mount "type=bind,source=$hosts,target=/etc/hosts" \
        "$4" >/dev/null
    echo "created $container"
}

# identify NAME ADDRESS DIR: let the lab's key in, and print the host's own.
identify() {
    docker exec --interactive "fliswarm-lab-$1" tee /home/lab/.ssh/authorized_keys <"$3/ssh/id_ed25519.pub" >/dev/null
    docker exec "fliswarm-lab-$1" timeout 60 sh -c \
        'key=/etc/ssh/ssh_host_ed25519_key.pub; until [ -s $key ]; do sleep 0.2; done; cat $key' |
        awk -v host="$1,$2" '{ print host, $1, $2 }'
}

# Wait until ssh answers on every host.
ready() {
    local dir=$1 names=$2 name failed=''
    declare -A waits
    for name in $names; do
        timeout 60 sh -c "until ssh -F '$dir/ssh/config' $name true 2>'$dir/ssh/$name.log'; do sleep 0.5; done" &
        waits[$name]=$!
    done
    for name in $names; do
        if ! wait "${waits[$name]}"; then
            failed=yes
            echo "$name does not answer over ssh: $(cat "$dir/ssh/$name.log")" >&2
        fi
        rm -f "$dir/ssh/$name.log"
    done
    [ -z "$failed" ]
}

up() {
    local label=$1 dir=$2 prefix=$3 names=$4 image name container owner
    local -A state image_of networks
    image=fliswarm-lab:$("$here/images.sh" recipe)

    local labels='{{range $key, $value := .Labels}}{{$key}}={{$value}}{{end}}'
    if owner=$(docker network inspect fliswarm-lab --format "$labels" 2>/dev/null); then
        if [ "$owner" != "$label" ]; then
            echo "This Docker Engine carries another lab already, that of ${owner#*=}." >&2
            exit 1
        fi
    else
        docker network create --label "$label" --subnet "$prefix.0/24" --gateway "$prefix.1" fliswarm-lab >/dev/null
        echo "created the network $prefix.0/24"
    fi
    while IFS='|' read -r container is from on; do
        state[$container]=$is image_of[$container]=$from networks[$container]=$on
    done < <(docker ps --all --filter "label=$label" --format '{{.Names}}|{{.State}}|{{.Image}}|{{.Networks}}')

    # What is not wanted, or was made from another image, goes first.
    for container in "${!state[@]}"; do
        if [[ " $names " != *" ${container#fliswarm-lab-} "* || ${image_of[$container]} != "$image" ]]; then
            remove "$container"
            unset "state[$container]"
        fi
    done
    for name in $names; do
        container=fliswarm-lab-$name
        case ${state[$container]:-absent} in
        absent)
            rm -f "$dir/ssh/known_hosts"
            create "$name" "$(address "$prefix" "$name")" "$label" "$image" "$dir"
            continue ;;
        running) ;;
        paused)
            docker unpause "$container" >/dev/null
            echo "unpaused $container" ;;
        *)
            docker start "$container" >/dev/null
            echo "started $container" ;;
        esac
        if [[ ,${networks[$container]}, != *,fliswarm-lab,* ]]; then
            docker network connect --ip "$(address "$prefix" "$name")" --alias "$name" fliswarm-lab "$container"
            echo "connected $container"
        fi
    done

    if [ ! -e "$dir/ssh/known_hosts" ]; then
        for name in $names; do
            identify "$name" "$(address "$prefix" "$name")" "$dir"
        done >"$dir/ssh/known_hosts.new"
        mv "$dir/ssh/known_hosts.new" "$dir/ssh/known_hosts"
        echo "wrote the hosts' keys to $dir/ssh/known_hosts"
    fi
    ready "$dir" "$names"
}

down() {
    local label=$1 ids
    for kind in container volume network image; do
        case $kind in
        container) ids=$(docker ps --all --quiet --filter "label=$label") ;;
        image) ids=$(docker images --quiet --filter "label=$("$here/images.sh" image_label "$label")" | sort -u) ;;
        *) ids=$(docker "$kind" ls --quiet --filter "label=$label") ;;
        esac
        [ -n "$ids" ] || continue
        case $kind in
        network) docker network rm $ids >/dev/null ;;
        *) docker "$kind" rm --force $ids >/dev/null ;;
        esac
        echo "removed $kind: $(echo $ids)"
    done
}

"$@"
