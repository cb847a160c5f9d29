# Runs a server for as long as somebody wants it.
#
# Standard input is the reading end of a FIFO whose writing ends the users of the server hold. When the last of them
# is gone, by whatever death, the kernel says end of file, and the server is stopped.
#
# Arguments: linger (seconds to wait for a new user), marker (a folder that exists while stopping), log,
# scratch (a folder to remove at the end, or empty), then the server's command.
linger=$1 marker=$2 log=$3 scratch=$4
shift 4
exec 3<&0 </dev/null

# Without the FIFO: if only the server survived, nobody would be reading, and a new user sees that at once.
"$@" >>"$log" 2>&1 3<&- &
server=$!
trap 'kill -INT "$server" 2>/dev/null' HUP INT TERM

(
    idle=0
    while :; do
        if read -r _ <&3; then
            # A user who comes writes a line.
            idle=0
            rmdir "$marker" 2>/dev/null
        elif [ "$idle" -lt "$linger" ]; then
            idle=$((idle + 1))
            sleep 1
        elif [ "$linger" -gt 0 ] && [ ! -d "$marker" ]; then
            # Said before the last look: a user who comes now is either read by it or sees the marker.
            mkdir "$marker" 2>/dev/null || break
        else
            break
        fi
    done
    kill -INT "$server"
) 2>/dev/null &
watcher=$!
exec 3<&-

wait "$server"
status=$?
while kill -0 "$server" 2>/dev/null; do
    wait "$server"
    status=$?
done
kill "$watcher" 2>/dev/null
rmdir "$marker" 2>/dev/null
[ -z "$scratch" ] || rm -rf "$scratch"
exit "$status"
