#!/bin/bash
# The hosts of the lab and of the scenarios: containers with systemd and sshd on a network of their own.
#
#   hosts.sh up LABEL DIR PREFIX "NAME .."      make the network and the lab's hosts what they are to be
#   hosts.sh bare LABEL DIR PREFIX SET KEY "NAME[=SUITE] .."
#                                               make new hosts that let KEY in, print name and address of each
#   hosts.sh down LABEL [SET]                   remove everything that carries the label, or one set of hosts
#
# up and down print a line for each change. DOCKER_HOST names the engine, DIR holds the state of these
# hosts, DIR/ssh/config says how to reach them. A host is a container SET-NAME; the lab's set is fliswarm-lab.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)

# address PREFIX NAME
address() {
    case $2 in
    manager) echo "$1.10" ;;
    *) echo "$1.$((10 + ${2#gfa}))" ;;
    esac
}

# free PREFIX: an address above the lab's that no host has, whether that host runs or not.
free() {
    local taken n
    taken=$(docker ps --all --quiet --filter network=fliswarm-lab | xargs -r docker inspect --format \
        '{{with index .NetworkSettings.Networks "fliswarm-lab"}}{{with .IPAMConfig}}{{.IPv4Address}}{{end}}{{end}}' \
        2>/dev/null) || true
    for n in {200..254}; do
        if ! grep -qxF "$1.$n" <<<"$taken"; then
            echo "$1.$n"
            return
        fi
    done
    echo "All addresses from $1.200 to $1.254 are taken. Remedy: molecule destroy --all" >&2
    return 1
}

remove() {
    docker rm --force "$1" >/dev/null
    docker volume rm --force "$1" >/dev/null
    echo "removed $1"
}

# create SET NAME HOSTNAME ADDRESS LABEL IMAGE DIR. Images and containers of a host's own Docker Engine need
# a file system that is not an overlay: /var/lib/docker is a volume. The outer engine writes /etc/hosts anew
# at each start, unless it is a file of our own.
create() {
    local container=$1-$2 hosts=$7/hosts/$2
    mkdir -p "$7/hosts"
    printf '%s\n' '127.0.0.1 localhost' '::1 localhost' "$4 $3" >"$hosts"
    docker run --detach --name "$container" --hostname "$3" --label "$5" \
        --network fliswarm-lab --ip "$4" --network-alias "$3" \
        --privileged --cgroupns private --stop-signal SIGRTMIN+3 --restart always \
        --tmpfs /run --tmpfs /run/lock --tmpfs /tmp:exec \
        --mount "type=volume,source=$container,target=/var/lib/docker,volume-label=$5" \
        --mount "type=volume,source=$1-data,target=/data,volume-label=$5" \
        --mount "type=bind,source=$hosts,target=/etc/hosts" \
        "$6" >/dev/null
}

# identify CONTAINER NAMES KEY: let the key in, and print the host's own under its names.
identify() {
    docker exec --interactive "$1" tee /home/lab/.ssh/authorized_keys <"$3" >/dev/null
    docker exec "$1" timeout 60 sh -c \
        'key=/etc/ssh/ssh_host_ed25519_key.pub; until [ -s $key ]; do sleep 0.1; done; cat $key' |
        awk -v host="$2" '{ print host, $1, $2 }'
}

# ready DIR NAME ..: wait until ssh answers on every host.
ready() {
    local dir=$1 name failed=''
    declare -A waits
    shift
    for name; do
        timeout 60 sh -c "until ssh -F '$dir/ssh/config' $name true 2>'$dir/ssh/$name.log'; do sleep 0.2; done" &
        waits[$name]=$!
    done
    for name; do
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
            create fliswarm-lab "$name" "$name" "$(address "$prefix" "$name")" "$label" "$image" "$dir"
            echo "created $container"
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
            identify "fliswarm-lab-$name" "$name,$(address "$prefix" "$name")" "$dir/ssh/id_ed25519.pub"
        done >"$dir/ssh/known_hosts.new"
        mv "$dir/ssh/known_hosts.new" "$dir/ssh/known_hosts"
        echo "wrote the hosts' keys to $dir/ssh/known_hosts"
    fi
    ready "$dir" $names
}

# The outer engine's name service knows hosts by their hostnames. Scenarios run beside each other and beside
# the lab, with hosts of the same names: there the hostname is the container's name. Only one at a time takes
# addresses.
bare() {
    local label=$1 dir=$2 prefix=$3 set=$4 key=$5 words=$6 word name suite
    local -A addresses
    exec 9<"$here/hosts.sh"
    flock 9
    for word in $words; do
        name=${word%%=*}
        suite=${word#"$name"}
        addresses[$name]=$(free "$prefix")
        create "$set" "$name" "$set-$name" "${addresses[$name]}" "$label" \
            "fliswarm-lab:$("$here/images.sh" recipe ${suite#=})" "$dir"
    done
    exec 9<&-

    for name in "${!addresses[@]}"; do
        identify "$set-$name" "${addresses[$name]}" "$key"
    done >"$dir/ssh/known_hosts"
    ready "$dir" "${addresses[@]}"
    for name in "${!addresses[@]}"; do
        echo "$name ${addresses[$name]}"
    done
}

down() {
    local label=$1 set=${2:-} ids kind
    local filters=(--filter "label=$label") kinds='container volume network image'
    if [ -n "$set" ]; then
        filters+=(--filter "name=^$set-")
        kinds='container volume'
    fi
    for kind in $kinds; do
        case $kind in
        image) ids=$(docker images --quiet --filter "label=$("$here/images.sh" image_label "$label")" | sort -u) ;;
        container) ids=$(docker container ls --all --quiet "${filters[@]}") ;;
        *) ids=$(docker "$kind" ls --quiet "${filters[@]}") ;;
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
