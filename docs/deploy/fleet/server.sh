#!/bin/sh
# A server of the fleet without systemd, to try all this on one machine:
#
#     ./server.sh start|stop|restart 1|2|3
#
# TWISTD is the program, SERVE what is served, RUN where pidfiles and logs lie; PORTS and AGENTS
# are the ports of a server 0, QUIESCE is in seconds.
set -eu
: "${TWISTD:=twistd}" "${SERVE:=--path .}" "${RUN:=/tmp}"
: "${PORTS:=8080}" "${AGENTS:=9080}" "${QUIESCE:=2}"
name=$2
pidfile=$RUN/site-$name.pid

start() {
    # Returns when the server is there.  SERVE has several words.
    # shellcheck disable=SC2086
    $TWISTD --pidfile="$pidfile" --logfile="$RUN/site-$name.log" terminable \
        --port "haproxy:tcp:$((PORTS + name)):interface=127.0.0.1" \
        --agent-check "tcp:$((AGENTS + name)):interface=127.0.0.1" \
        --quiesce "$QUIESCE" $SERVE
}

stop() {
    # Returns when everybody is served, and it has gone; it takes the file away as its last deed.
    [ -e "$pidfile" ] || return 0
    pid=$(cat "$pidfile")
    kill -TERM "$pid" || return 0
    while [ -e "$pidfile" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}

case $1 in
start) start ;;
stop) stop ;;
restart) stop && start ;;
*) echo "usage: $0 start|stop|restart NUMBER" >&2 && exit 2 ;;
esac
