#!/bin/bash
# Users of Kafka and what they may do, written into ZooKeeper before the broker starts: no moment lies open.
# Done again, they get the passwords of now.
set -euo pipefail
zookeeper=zookeeper:2181

user() {
    kafka-configs --zookeeper "$zookeeper" --alter --entity-type users --entity-name "$1" \
        --add-config "SCRAM-SHA-512=[password=$(cat "/run/secrets/$2")]" | sed 's/\[password=.*//'
}

allow() { kafka-acls --authorizer-properties "zookeeper.connect=$zookeeper" --add --force "$@" >/dev/null; }

user broker KAFKA_BROKER_PASSWORD # the administrator: KAFKA_SUPER_USERS
user pipeline KAFKA_PIPELINE_PASSWORD
user commands KAFKA_COMMANDS_PASSWORD

allow --allow-principal User:pipeline --operation Read --operation Write --operation Describe \
    --topic raw_data --topic processed_data --topic raw_data.dlq
allow --allow-principal User:pipeline --operation Write --operation Describe --topic commands
allow --allow-principal User:pipeline --operation Read --operation Describe \
    --group processing --group training-store
allow --allow-principal User:pipeline --operation Read --operation Describe \
    --resource-pattern-type prefixed --group look- # who looks at dead letters has a group for that once
allow --allow-principal User:pipeline --operation Describe --topic commands.dlq
allow --allow-principal User:commands --operation Read --operation Describe --topic commands --group commands
allow --allow-principal User:commands --operation Write --operation Describe --topic commands.dlq
echo "users and rights are there"
