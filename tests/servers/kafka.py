"""Genuine Kafka with ZooKeeper: one broker or several, an open listener and one that asks for a password.

With a certificate there are two more listeners, with TLS.
"""

import secrets
import socket
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.admin import UserScramCredentialUpsertion
from kafka.errors import KafkaError

from servers.errors import StartError
from servers.installation import find_program, installed, run
from servers.process import LOCALHOST, ServerProcess, listens, on_free_ports

VERSION = "3.9.1"
"""The last line that still works with ZooKeeper; it brings ZooKeeper 3.8.4."""
_LISTENERS = ("PLAINTEXT", "SASL_PLAINTEXT")
_TLS_LISTENERS = ("SSL", "SASL_SSL")
_SCRAM = "SCRAM-SHA-512"
_HINT = "on Debian: apt-get install openjdk-17-jre-headless maven"
_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>loan-default</groupId>
  <artifactId>servers</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"""
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kafka:
    """Brokers that run, with their ZooKeeper."""

    addresses: dict[str, str]
    """Security protocol -> host:port of each broker, by commas. The mechanisms of those with SASL are PLAIN
    and SCRAM-SHA-512; those with SSL are there with a certificate only."""
    username: str
    password: str
    zookeeper: ServerProcess
    brokers: dict[int, ServerProcess]
    """By the id that the cluster knows them by; the first is 1."""

    @property
    def bootstrap(self) -> str:
        return self.addresses["PLAINTEXT"]

    @property
    def sasl_bootstrap(self) -> str:
        return self.addresses["SASL_PLAINTEXT"]

    @property
    def broker(self) -> ServerProcess:
        """The first one."""
        return self.brokers[1]

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the project finds it."""
        return {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap}

    def stop(self) -> None:
        """Stop the brokers, then ZooKeeper."""
        for broker in self.brokers.values():
            broker.stop()
        self.zookeeper.stop()


def install_kafka() -> Path:
    """The folder of the jars; NotInstallable without Java, Maven or a network."""
    find_program("Kafka", "java", hint=_HINT)
    return installed("Kafka", VERSION, _download)


def start_kafka(
    folder: Path, *, brokers: int = 1, certificate: Path | None = None, with_rights: bool = False
) -> Kafka:
    """Start ZooKeeper and brokers with their data in `folder`, which must be new or empty.

    Topics are made by those who need them; each partition is on every broker, up to three, and of three
    two must have a record. A broker that was killed stays known to ZooKeeper for some seconds, and until then
    another of its number is refused: its next start waits for that.

    `certificate` is a PEM file with the private key and the certificate of 127.0.0.1; None = no TLS. With
    rights, other users than ours may do nothing on the listener with a password until they are given some.

    Raises:
        NotInstallable: no Java, no Maven or no network.
        StartError: it does not come up.
    """
    jars = install_kafka()
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as started:
        zookeeper, zookeeper_port = on_free_ports(1, lambda ports: _start_zookeeper(jars, folder, *ports))
        started.callback(zookeeper.kill)
        cluster = _Cluster(
            jars=jars,
            folder=folder,
            zookeeper_port=zookeeper_port,
            brokers=brokers,
            certificate=certificate,
            with_rights=with_rights,
            username="loan-default",
            password=secrets.token_hex(16),
        )
        running: dict[int, ServerProcess] = {}
        addresses: dict[str, list[str]] = {name: [] for name in cluster.listeners}
        for number in range(1, brokers + 1):
            running[number], ports = on_free_ports(len(addresses), _starter(cluster, number))
            started.callback(running[number].kill)
            for name, port in zip(addresses, ports, strict=True):
                addresses[name].append(f"{LOCALHOST}:{port}")
        kafka = Kafka(
            addresses={name: ",".join(each) for name, each in addresses.items()},
            username=cluster.username,
            password=cluster.password,
            zookeeper=zookeeper,
            brokers=running,
        )
        _add_scram_user(kafka)
        started.pop_all()
    return kafka


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cluster:
    """What its brokers have in common."""

    jars: Path
    folder: Path
    zookeeper_port: int
    brokers: int
    certificate: Path | None
    with_rights: bool
    username: str
    password: str

    @property
    def listeners(self) -> tuple[str, ...]:
        return _LISTENERS if self.certificate is None else _LISTENERS + _TLS_LISTENERS


def _download(target: Path) -> None:
    mvn = find_program("Kafka", "mvn", hint=_HINT)
    (target / "pom.xml").write_text(_POM, encoding="utf-8")
    style = ("--quiet", "--batch-mode", "-Dstyle.color=never")
    run("Kafka", mvn, *style, _COPY, f"-DoutputDirectory={target / 'libs'}", folder=target)


def _start_zookeeper(jars: Path, folder: Path, port: int) -> tuple[ServerProcess, int]:
    config = folder / "zookeeper.properties"
    _write(
        config,
        dataDir=folder / "zookeeper",
        clientPort=port,
        clientPortAddress=LOCALHOST,
        tickTime=500,  # milliseconds; a session lasts two of them at least
        **{"admin.enableServer": "false", "4lw.commands.whitelist": "dump,srvr"},
    )
    zookeeper = ServerProcess(
        name="ZooKeeper",
        command=_java(jars, "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(config), heap="256m"),
        log=folder / "zookeeper.log",
        is_ready=lambda: "Mode: standalone" in _ask_zookeeper(port, "srvr"),
    )
    zookeeper.start()
    return zookeeper, port


def _starter(cluster: _Cluster, number: int) -> Callable[[list[int]], tuple[ServerProcess, list[int]]]:
    return lambda ports: _start_broker(cluster, number, ports)


def _start_broker(cluster: _Cluster, number: int, ports: list[int]) -> tuple[ServerProcess, list[int]]:
    folder, config = cluster.folder, cluster.folder / f"broker-{number}.properties"
    copies = min(cluster.brokers, 3)
    in_sync = min(copies, 2)
    settings = {
        "broker.id": number,
        "listeners": ",".join(
            f"{name}://{LOCALHOST}:{port}" for name, port in zip(cluster.listeners, ports, strict=True)
        ),
        "zookeeper.connect": f"{LOCALHOST}:{cluster.zookeeper_port}",
        "zookeeper.session.timeout.ms": 4_000,  # how long a killed broker blocks its successor
        "controlled.shutdown.enable": str(copies > 1).lower(),  # hand partitions over, where there is anyone
        "controlled.shutdown.retry.backoff.ms": 500,  # the last one finds nobody
        "log.dirs": folder / f"broker-{number}",
        "num.partitions": 3,
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 4,  # 50 by default: slow to make and to recover after a kill
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": 4,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1_000,  # so that tests of killed consumers need not wait for 6 s
    }
    if cluster.with_rights:
        settings["authorizer.class.name"] = "kafka.security.authorizer.AclAuthorizer"
        settings["super.users"] = f"User:ANONYMOUS;User:{cluster.username}"  # without a password, and ours
    _write(config, **settings, **_login_settings(cluster), **_tls_settings(cluster))
    open_address = f"{LOCALHOST}:{ports[0]}"
    broker = ServerProcess(
        name=f"Kafka {VERSION}, broker {number}",
        command=_java(cluster.jars, "kafka.Kafka", str(config), heap="512m" if copies == 1 else "256m"),
        log=folder / f"broker-{number}.log",
        may_start=lambda: _does_not_know(cluster.zookeeper_port, number),
        is_ready=lambda: all(map(listens, ports)) and _has_controller(open_address, cluster.brokers),
    )
    broker.start()
    return broker, ports


def _login_settings(cluster: _Cluster) -> dict[str, object]:
    """Who may use the listeners with SASL."""
    login, settings = "org.apache.kafka.common.security", dict[str, object]()
    settings["sasl.enabled.mechanisms"] = f"PLAIN,{_SCRAM}"
    for name in filter(lambda name: name.startswith("SASL"), cluster.listeners):
        listener = f"listener.name.{name.lower()}"
        settings[f"{listener}.plain.sasl.jaas.config"] = (
            f'{login}.plain.PlainLoginModule required user_{cluster.username}="{cluster.password}";'
        )
        settings[f"{listener}.{_SCRAM.lower()}.sasl.jaas.config"] = (
            f"{login}.scram.ScramLoginModule required;"
        )
    return settings


def _tls_settings(cluster: _Cluster) -> dict[str, object]:
    if cluster.certificate is None:
        return {}
    return {"ssl.keystore.type": "PEM", "ssl.keystore.location": cluster.certificate}


def _add_scram_user(kafka: Kafka) -> None:
    """Users of SCRAM are known to ZooKeeper, not to the broker's file."""
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    try:
        user = UserScramCredentialUpsertion(kafka.username, _SCRAM, kafka.password)
        answer = admin.alter_user_scram_credentials([user])
    finally:
        admin.close()
    if answer[kafka.username] is not None:
        raise StartError(f"Kafka must take a user, however: {answer[kafka.username]}", log="")


def _java(jars: Path, main: str, *words: str, heap: str) -> list[str]:
    java = find_program("Kafka", "java", hint=_HINT)
    logger = "-Dorg.slf4j.simpleLogger"
    times = (f"{logger}.showDateTime=true", f"{logger}.dateTimeFormat=HH:mm:ss.SSS")
    return [java, f"-Xmx{heap}", "-XX:+UseSerialGC", *times, "-cp", f"{jars / 'libs'}/*", main, *words]


def _write(config: Path, **settings: object) -> None:
    config.touch(mode=0o600)  # it holds a password
    config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="utf-8")


def _does_not_know(zookeeper_port: int, number: int) -> bool:
    """Whether ZooKeeper serves, and the session of a broker of this number that was killed is over."""
    nodes = _ask_zookeeper(zookeeper_port, "dump")
    return "ephemeral nodes dump" in nodes and f"/brokers/ids/{number}\n" not in nodes


def _ask_zookeeper(port: int, word: str) -> str:
    """The answer of ZooKeeper to one of its short commands; empty where it does not answer."""
    try:
        with socket.create_connection((LOCALHOST, port), timeout=1.0) as connection:
            connection.sendall(word.encode())
            with connection.makefile("rb") as answer:
                return answer.read().decode()
    except OSError:
        return ""


def _has_controller(address: str, brokers: int) -> bool:
    """Whether the broker answers and topics can be made."""
    try:
        admin = KafkaAdminClient(bootstrap_servers=address, bootstrap_timeout_ms=2_000)
    except KafkaError:
        return False
    try:
        return bool(1 <= admin.describe_cluster()["controller_id"] <= brokers)
    except KafkaError:
        return False
    finally:
        admin.close()


def console_producer(kafka: Kafka, topic: str, line: str) -> None:
    """Send one line as a record with Kafka's own console client, as a person would."""
    words = ("--bootstrap-server", kafka.bootstrap, "--topic", topic)
    command = _java(install_kafka(), "kafka.tools.ConsoleProducer", *words, heap="128m")
    subprocess.run(command, input=f"{line}\n", text=True, check=True, capture_output=True, timeout=60)
