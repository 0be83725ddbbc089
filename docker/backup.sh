#!/bin/sh
# A backup of the stack that runs: MongoDB, Airflow's database, models and the training store, with their digests.
#   docker/backup.sh            -> backups/<time>
# Writers are stopped meanwhile; what comes in waits in incoming/ and in Kafka.
set -eu
umask 077 # personal data, and the hashes of passwords
cd "$(dirname "$0")/.."
folder=${BACKUPS:-$PWD/backups}/$(date -u +%Y-%m-%dT%H%M%SZ)
mkdir -p "$folder"
[ "$(id -u)" -ne 0 ] || chown "${LOAN_DEFAULT_UID:-$(. ./.env && echo "$LOAN_DEFAULT_UID")}" "$folder"

docker compose stop airflow-scheduler commands api scorer >&2
trap 'docker compose start airflow-scheduler commands api scorer >&2' EXIT

ours() { docker compose run --rm --no-deps --volume "$folder:/backup" airflow-scheduler "$@"; }
ours loan-default ingest # what was accepted must be in the training store, as Kafka is not backed up
ours loan-default backup /backup/mongodb
# Without the folder itself, whose mode belongs to another user.
ours sh -c 'cd /var/lib/loan-default &&
    find . -mindepth 1 -maxdepth 1 | tar --create --gzip --file /backup/home.tar.gz --files-from -'
docker compose exec -T postgres pg_dump --username airflow --format custom airflow >"$folder/airflow.dump"
(cd "$folder" && sha256sum airflow.dump home.tar.gz mongodb/* >SHA256SUMS)
echo "$folder"
