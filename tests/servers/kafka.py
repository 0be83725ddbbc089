"""Genuine Kafka with ZooKeeper: one broker, an open listener and one that asks for a password."""

import secrets
import socket
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
_BROKER_ID = 1
_SASL = "listener.name.sasl_plaintext"
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
    """A broker that runs, with its ZooKeeper."""

    bootstrap: str
    """host:port of the open listener."""
    sasl_bootstrap: str
    """host:port of the listener with SASL_PLAINTEXT; the mechanisms are PLAIN and SCRAM-SHA-512."""
    username: str
    password: str
    zookeeper: ServerProcess
    broker: ServerProcess

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the project finds it."""
        return {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap}

    def stop(self) -> None:
        """Stop the broker, then ZooKeeper."""
        self.broker.stop()
        self.zookeeper.stop()


def install_kafka() -> Path:
    """The folder of the jars; NotInstallable without Java, Maven or a network."""
    find_program("Kafka", "java", hint=_HINT)
    return installed("Kafka", VERSION, _download)


def start_kafka(folder: Path) -> Kafka:
    """Start ZooKeeper and a broker with their data in `folder`, which must be new or empty.

    Topics are made by those who need them. A broker that was killed stays known to ZooKeeper for some
    seconds, and until then another of its number is refused: its next start waits for that.

    Raises:
        NotInstallable: no Java, no Maven or no network.
        StartError: it does not come up.
    """
    jars = install_kafka()
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as started:
        zookeeper, zookeeper_port = on_free_ports(1, lambda ports: _start_zookeeper(jars, folder, *ports))
        started.callback(zookeeper.kill)
        kafka = on_free_ports(2, lambda ports: _start_broker(jars, folder, zookeeper, zookeeper_port, ports))
        started.callback(kafka.broker.kill)
        _add_scram_user(kafka)
        started.pop_all()
    return kafka


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
        command=_java(jars, "org.apache.zookeeper.server.quorum.QuorumPeerMain", config, heap="256m"),
        log=folder / "zookeeper.log",
        is_ready=lambda: "Mode: standalone" in _ask_zookeeper(port, "srvr"),
    )
    zookeeper.start()
    return zookeeper, port


def _start_broker(
    jars: Path, folder: Path, zookeeper: ServerProcess, zookeeper_port: int, ports: list[int]
) -> Kafka:
    config = folder / "broker.properties"
    bootstrap, sasl_bootstrap = (f"{LOCALHOST}:{port}" for port in ports)
    username, password = "loan-default", secrets.token_hex(16)
    login = "org.apache.kafka.common.security"
    settings = {
        "broker.id": _BROKER_ID,
        "listeners": f"PLAINTEXT://{bootstrap},SASL_PLAINTEXT://{sasl_bootstrap}",
        "sasl.enabled.mechanisms": f"PLAIN,{_SCRAM}",
        f"{_SASL}.plain.sasl.jaas.config": (
            f'{login}.plain.PlainLoginModule required user_{username}="{password}";'
        ),
        f"{_SASL}.{_SCRAM.lower()}.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
        "zookeeper.connect": f"{LOCALHOST}:{zookeeper_port}",
        "zookeeper.session.timeout.ms": 4_000,  # how long a killed broker blocks its successor
        "controlled.shutdown.enable": "false",  # there is no other broker to hand partitions to
        "log.dirs": folder / "broker",
        "num.partitions": 3,
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,  # 50 by default: slow to make and to recover after a kill
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1_000,  # so that tests of killed consumers need not wait for 6 s
    }
    _write(config, **settings)
    broker = ServerProcess(
        name=f"Kafka {VERSION}",
        command=_java(jars, "kafka.Kafka", config, heap="512m"),
        log=folder / "broker.log",
        may_start=lambda: _knows_no_broker(zookeeper_port),
        is_ready=lambda: all(map(listens, ports)) and _has_controller(bootstrap),
    )
    broker.start()
    return Kafka(
        bootstrap=bootstrap,
        sasl_bootstrap=sasl_bootstrap,
        username=username,
        password=password,
        zookeeper=zookeeper,
        broker=broker,
    )


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


def _java(jars: Path, main: str, config: Path, *, heap: str) -> list[str]:
    java = find_program("Kafka", "java", hint=_HINT)
    logger = "-Dorg.slf4j.simpleLogger"
    times = (f"{logger}.showDateTime=true", f"{logger}.dateTimeFormat=HH:mm:ss.SSS")
    return [java, f"-Xmx{heap}", "-XX:+UseSerialGC", *times, "-cp", f"{jars / 'libs'}/*", main, str(config)]


def _write(config: Path, **settings: object) -> None:
    config.touch(mode=0o600)  # it holds a password
    config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="utf-8")


def _knows_no_broker(zookeeper_port: int) -> bool:
    """Whether ZooKeeper serves, and the session of a broker that was killed is over."""
    nodes = _ask_zookeeper(zookeeper_port, "dump")
    return "ephemeral nodes dump" in nodes and f"/brokers/ids/{_BROKER_ID}\n" not in nodes


def _ask_zookeeper(port: int, word: str) -> str:
    """Its answer to one of its four-letter words; empty where it does not answer."""
    try:
        with socket.create_connection((LOCALHOST, port), timeout=1.0) as connection:
            connection.sendall(word.encode())
            with connection.makefile("rb") as answer:
                return answer.read().decode()
    except OSError:
        return ""


def _has_controller(bootstrap: str) -> bool:
    """Whether the broker answers and topics can be made."""
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=2_000)
    except KafkaError:
        return False
    try:
        return bool(admin.describe_cluster()["controller_id"] == _BROKER_ID)
    except KafkaError:
        return False
    finally:
        admin.close()
