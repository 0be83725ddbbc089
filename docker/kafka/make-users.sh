#!/bin/bash
# Users of Kafka and what they may do, written into ZooKeeper before the broker starts, so it is never open.
# Run again, the script gives them the current passwords.
set -euo pipefail
zookeeper=zookeeper:2181

umask 077

user() { # the password goes by a file: arguments can be read by every process
    echo "SCRAM-SHA-512=password=$(cat "/run/secrets/$2")" >/tmp/user.properties
    kafka-configs --zookeeper "$zookeeper" --alter --entity-type users --entity-name "$1" \
        --add-config-file /tmp/user.properties
    rm /tmp/user.properties
}

allow() { kafka-acls --authorizer-properties "zookeeper.connect=$zookeeper" --add --force "$@" >/dev/null; }

user broker KAFKA_BROKER_PASSWORD # the administrator: KAFKA_SUPER_USERS
user pipeline KAFKA_PIPELINE_PASSWORD
user commands KAFKA_COMMANDS_PASSWORD
user requester KAFKA_REQUESTER_PASSWORD # whoever asks for trainings, evaluations, rollbacks
user api KAFKA_API_PASSWORD             # scores over HTTP: sends outcomes
user scorer KAFKA_SCORER_PASSWORD       # scores the stream

allow --allow-principal User:pipeline --operation Read --operation Write --operation Describe \
    --topic raw_data --topic processed_data --topic raw_data.dlq
allow --allow-principal User:pipeline --operation Write --operation Describe --topic commands
allow --allow-principal User:pipeline --operation Read --operation Describe \
    --group processing --group training-store
allow --allow-principal User:pipeline --operation Read --operation Describe \
    --resource-pattern-type prefixed --group look- # whoever lists dead-letter records uses a group of its own once
allow --allow-principal User:pipeline --operation Describe \
    --topic commands.dlq --topic scores --topic processed_data.dlq
allow --allow-principal User:commands --operation Read --operation Describe --topic commands --group commands
allow --allow-principal User:commands --operation Write --operation Describe --topic commands.dlq
allow --allow-principal User:api --operation Write --operation Describe --topic raw_data
allow --allow-principal User:scorer --operation Read --operation Describe --topic processed_data --group scoring
allow --allow-principal User:scorer --operation Write --operation Describe --topic scores --topic processed_data.dlq
for who in api scorer; do # the models that they refused, and the promotions that they hear of
    allow --allow-principal "User:$who" --operation Read --operation Write --operation Describe --topic commands
    allow --allow-principal "User:$who" --operation Read --operation Describe \
        --resource-pattern-type prefixed --group promotions- # each process is a group of its own
done
allow --allow-principal User:requester --operation Write --operation Describe --topic commands
echo "users and rights are there"
