#!/bin/bash
# tests/compat/run.sh FOLDER [EMULATOR...]
#
# Runs the server, the forwarding server and the client that are in FOLDER, and curl. Programs of
# 2016 take their ports as numbers: one that is in use is given up for another.

set -euo pipefail
folder=$1 emulator=("${@:2}")
pids=()
# The servers have no other way to end.
trap 'kill "${pids[@]}" 2>/dev/null; wait' EXIT

# serve PROGRAM [ARGUMENT...]: starts PROGRAM PORT ARGUMENT... and sets `port`.
serve() {
    local program=$1 tries pid
    shift
    for tries in {1..20}; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        "${emulator[@]}" "$folder/$program" "$port" "$@" &
        pid=$!
        if listens "$pid"; then
            pids+=("$pid")
            return
        fi
    done
    echo "$program found no port in $tries tries" >&2
    exit 1
}

# Waits until the process answers on the port, or ends.
listens() {
    for _ in {1..200}; do
        kill -0 "$1" 2>/dev/null || return 1
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return; fi
        sleep 0.1
    done
    kill "$1"
    return 1
}

serve server 2
server=$port
serve forward "$server"
timeout 100 "${emulator[@]}" "$folder/client" "$port" "$server"

# The same port serves browsers.
url=http://127.0.0.1:$server
for arguments in '/hello?name=a+b' '/hello --data name=a+b'; do
    # shellcheck disable=SC2086 # two words, or one
    page=$(curl --silent --show-error --max-time 20 --include $url$arguments)
    [[ $page == "HTTP/1.1 200 "*"X-Object: hello"*"hello a b" ]] || {
        echo "$arguments: $page" >&2
        exit 1
    }
done
[[ $(curl --silent --max-time 20 --output /dev/null --write-out '%{http_code}' "$url/x") == 404 ]]
