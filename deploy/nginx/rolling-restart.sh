#!/bin/sh
# Restarts server processes one after the other, while the others go on serving:
#
#   rolling-restart.sh 8001 8002
#
# CONF     nginx's configuration, with a line `server 127.0.0.1:PORT ...;` for each process
# RELOAD   makes nginx read it again
# RESTART  restarts the process on $PORT, and returns when the old one has ended
set -eu
CONF=${CONF:-/etc/nginx/conf.d/chat-platform.conf}
RELOAD=${RELOAD:-nginx -s reload}
RESTART=${RESTART:-'systemctl restart chat-platform@$PORT'}
READY_SECONDS=${READY_SECONDS:-120}

take_out() {
    sed -i "s/^\( *server 127\.0\.0\.1:$1\)\b\( down\)\{0,1\}/\1 down/" "$CONF"
    sh -c "$RELOAD"
    # nginx reads it in the background, and says nothing when it has.
    sleep 1
}

put_back() {
    sed -i "s/^\( *server 127\.0\.0\.1:$1\) down/\1/" "$CONF"
    sh -c "$RELOAD"
    sleep 1
}

wait_until_ready() {
    end=$(($(date +%s) + READY_SECONDS))
    until curl -sf -m 5 -o /dev/null "http://127.0.0.1:$1${ROOT_PATH:-}/api/v1/health/ready"; do
        if [ "$(date +%s)" -gt "$end" ]; then
            echo "The process on port $1 is not ready. The others go on serving; none was stopped." >&2
            exit 1
        fi
        sleep 0.2
    done
}

for port in "$@"; do
    take_out "$port"
    PORT=$port sh -c "$RESTART"
    wait_until_ready "$port"
    put_back "$port"
done
