#!/bin/sh
# Random passwords and keys, a file for each in secrets/, and .env, which says where they are. What is there stays.
set -eu
cd "$(dirname "$0")/.."

umask 077
mkdir -p secrets

random() { head -c "$1" /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_'; }

# The folder is closed to others; the files are open to the users within the containers, whoever they are.
secret() {
    [ -s "secrets/$1" ] || random "$2" | { if [ "$2" = 32 ]; then cat; else tr -d '='; fi; } >"secrets/$1"
    chmod 444 "secrets/$1"
}

for name in POSTGRES_PASSWORD \
    AIRFLOW_ADMIN_PASSWORD AIRFLOW_VIEWER_PASSWORD AIRFLOW_COMMANDS_PASSWORD \
    MONGODB_ROOT_PASSWORD MONGODB_PIPELINE_PASSWORD MONGODB_COMMANDS_PASSWORD MONGODB_READER_PASSWORD \
    MONGODB_API_PASSWORD MONGODB_SCORER_PASSWORD \
    KAFKA_BROKER_PASSWORD KAFKA_PIPELINE_PASSWORD KAFKA_COMMANDS_PASSWORD KAFKA_REQUESTER_PASSWORD \
    KAFKA_API_PASSWORD KAFKA_SCORER_PASSWORD; do
    secret "$name" 24
done
secret AIRFLOW_FERNET_KEY 32 # Fernet wants exactly 32 bytes, with the padding
secret AIRFLOW_JWT_SECRET 48
secret AIRFLOW_SECRET_KEY 48
# Whoever asks for scores sends it whole: an id of 12 hexadecimal digits, a dot, a secret.
[ -s secrets/API_KEY ] ||
    printf '%s.%s' "$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')" "$(random 32 | tr -d '=')" >secrets/API_KEY
chmod 444 secrets/API_KEY

# Files that are dropped into incoming/ are moved by whoever runs the pipeline: you, unless you are root.
umask 022
user=$(id -u)
[ "$user" -ne 0 ] || user=50000
mkdir -p incoming
[ "$(id -u)" -ne 0 ] || chown "$user" incoming
setting() { grep -q "^$1=" .env 2>/dev/null || echo "$1=$2" >>.env; }
setting LOAN_DEFAULT_SECRETS_FOLDER ./secrets
setting LOAN_DEFAULT_UID "$user"
echo "secrets/ and .env are there. Airflow's user is admin, the password is in secrets/AIRFLOW_ADMIN_PASSWORD."
