#!/bin/bash
# The lab's own Docker Engine, for machines where none answers.
#
#   engine.sh start DIR PREFIX    start the engine whose files live in DIR, and let the network PREFIX.0/24 out
#   engine.sh stop DIR PREFIX     stop it, and take its mounts and rules away
#
# Each prints a line for each change it makes.
set -euo pipefail

action=$1
dir=$2
prefix=$3
here=$(cd "$(dirname "$0")" && pwd)
address=unix://$dir/docker.sock

answers() {
    timeout 30 docker -H "$address" version >/dev/null 2>&1
}

# The processes of this engine: their command lines name its folder.
processes() {
    local proc
    for proc in /proc/[0-9]*; do
        case $(cat "$proc/comm" 2>/dev/null) in
        $1) grep -qaF -- "$dir/" "$proc/cmdline" 2>/dev/null && echo "${proc#/proc/}" ;;
        esac
    done
    true
}

# Ask processes to end, and make them end when they have not after 20 s.
end() {
    local tries pids
    for tries in {1..100}; do
        pids=$(processes "$1")
        [ -n "$pids" ] || return 0
        case $tries in
        1) kill -TERM $pids 2>/dev/null || true ;;
        100) kill -KILL $pids 2>/dev/null || true ;;
        esac
        sleep 0.2
    done
}

# End the engine, and what outlives one that was killed: containers, control groups and mounts. What is
# left is what a power cut leaves.
clear() {
    local container pids
    end dockerd
    end 'containerd*'
    for container in "$dir"/data/containers/*/; do
        container=$(basename "$container")
        while pids=$(grep -lF "$container" /proc/[0-9]*/cgroup 2>/dev/null | cut -d / -f 3) && [ -n "$pids" ]; do
            kill -KILL $pids 2>/dev/null || true
            sleep 0.1
        done
        find /sys/fs/cgroup -depth -type d -path "*/$container*" -exec rmdir {} \; 2>/dev/null || true
    done
    awk -v dir="$dir/" 'index($2, dir) == 1 { print $2 }' /proc/self/mounts | sort -r | xargs -r umount -l
    rm -rf "$dir/run" "$dir/pid"
}

# rules add|remove PREFIX. The engine makes none, and the lab's network needs three: packets from and to it
# pass, and leave under this machine's address.
rules() {
    local net=$2.0/24 table rule
    while read -r table rule; do
        if iptables --wait -t "$table" -C $rule 2>/dev/null; then
            [ "$1" = add ] || iptables --wait -t "$table" -D $rule
        elif [ "$1" = add ]; then
            iptables --wait -t "$table" -I $rule
            echo "added the rule $rule"
        fi
    done <<EOF
nat POSTROUTING -s $net ! -d $net -j MASQUERADE
filter FORWARD -s $net -j ACCEPT
filter FORWARD -d $net -j ACCEPT
EOF
}

case $action in
start)
    rules add "$prefix"
    ! answers || exit 0
    clear
    mkdir -p "$dir"
    # No default bridge and no iptables rules: nothing of another engine on this machine is touched.
    options=(--data-root "$dir/data" --exec-root "$dir/run" --pidfile "$dir/pid" -H "$address")
    options+=(--bridge none --iptables=false)
    if [ -n "$("$here/oci-runtime" needed)" ]; then
        options+=(--add-runtime "lab=$here/oci-runtime" --default-runtime lab)
    fi
    setsid dockerd "${options[@]}" </dev/null >"$dir/log" 2>&1 &
    for _ in {1..100}; do
        if answers; then
            echo "started $address"
            exit 0
        fi
        sleep 0.3
    done
    echo "The private Docker Engine does not answer. The end of its log, $dir/log:" >&2
    tail -n 20 "$dir/log" >&2
    exit 1
    ;;
stop)
    [ -d "$dir" ] || exit 0
    clear
    rules remove "$prefix"
    echo "stopped $address"
    ;;
esac
