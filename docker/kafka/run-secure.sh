#!/bin/bash
# Kafka with SASL: the broker's own login, and the one of its health check, from the file of its password.
set -euo pipefail
umask 077
password=$(cat /run/secrets/KAFKA_BROKER_PASSWORD)
# Of the broker and its health check: nothing else in this container may read them.
login="org.apache.kafka.common.security.scram.ScramLoginModule required username=\"broker\" password=\"$password\";"
echo "KafkaServer { $login };" >/tmp/broker.jaas
cat >/tmp/client.properties <<END
security.protocol=SASL_PLAINTEXT
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=$login
END
unset password login
exec /etc/confluent/docker/run
