# stage.sh: sourced by scripts that work in stages. One line a stage, with its duration; what the
# stage printed goes to build/log and is shown only when it fails.
# shellcheck shell=bash

# stage NAME COMMAND...: runs COMMAND; leaves the calling script when it fails.
stage() {
    local name=$1 start=$EPOCHREALTIME log=build/log/${1//[^a-z0-9]/-}.log status=0
    shift
    mkdir -p build/log
    "$@" </dev/null >"$log" 2>&1 || status=$?
    start=$(((${EPOCHREALTIME/./} - ${start/./}) / 100000))
    if ((status)); then
        printf '%-10s failed after %d.%d s\n' "$name" $((start / 10)) $((start % 10))
        tail -n 60 "$log" >&2
        exit "$status"
    fi
    printf '%-10s %d.%d s\n' "$name" $((start / 10)) $((start % 10))
}
