#!/bin/sh
# A backup into a new stack, whose volumes are empty: docker/restore.sh backups/<time>
set -eu
folder=$(realpath "${1:?must be the folder of a backup, however: none is named}")
cd "$(dirname "$0")/.."
(cd "$folder" && sha256sum --check --quiet SHA256SUMS)

# Airflow's tables first: they come with the dump, and `airflow-init` brings them up to date.
docker compose up --detach --wait postgres
docker compose exec -T postgres pg_restore --username airflow --dbname airflow --no-owner --exit-on-error \
    <"$folder/airflow.dump"
docker compose run --rm init loan-default init --wait 120 --no-key # the collections must be empty
ours() { docker compose run --rm --no-deps --volume "$folder:/backup:ro" airflow-scheduler "$@"; }
ours loan-default restore --kafka-is-new /backup/mongodb
ours tar --extract --gzip --file /backup/home.tar.gz --directory /var/lib/loan-default
docker compose up --detach
