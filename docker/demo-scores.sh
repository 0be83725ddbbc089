#!/bin/sh
# Two scores of a running stack: one that is asked for over HTTP, one that came by the stream.
set -eu
cd "$(dirname "$0")/.."

api="http://$(docker compose port api 8000)"
# The key goes by a file: arguments can be read by every process.
keyed() { printf 'header = "Authorization: Bearer %s"\n' "$(cat secrets/API_KEY)" | curl --silent --show-error --config - "$@"; }

for _ in $(seq 60); do
    curl --silent --fail --output /dev/null "$api/readyz" && break
    sleep 2
done
echo "Asked for over HTTP ($api/v1/scores):"
keyed --fail "$api/v1/scores" --header 'Content-Type: application/json' --data @docker/demo-application.json
echo
echo "From the stream (topic scores):"
docker compose exec kafka kafka-console-consumer --bootstrap-server localhost:29092 --topic scores \
    --from-beginning --max-messages 1 --timeout-ms 120000 2>/dev/null
