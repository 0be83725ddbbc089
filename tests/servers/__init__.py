"""Real servers as child processes: Kafka with ZooKeeper, FerretDB (MongoDB's protocol) and PostgreSQL.

    python -m servers --install            download and build what is missing, start nothing
    python -m servers --only kafka         until Ctrl-C; `--only` may be repeated, without it all start

Each module has one function that starts its server in a folder of its own and returns an object with the
addresses and the processes. What cannot be had here raises `NotInstallable` with the reason in one line.
"""
