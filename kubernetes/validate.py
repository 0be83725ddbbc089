"""Ask an API server of Kubernetes whether it would take what lies here: `make kubernetes-check`.

    PYTHONPATH=tests python kubernetes/validate.py --install   builds what is missing: a quarter of an hour
    PYTHONPATH=tests python kubernetes/validate.py             only with what is in the cache

A genuine API server with etcd, without nodes, is started and stopped. Every object of our chart, with several
sets of values, and of the other manifests is applied as a dry run on the server: it refuses unknown fields,
wrong types and pods that the profile `restricted` does not allow. The definitions of their operators check
the resources of Strimzi and MongoDB. Some broken objects follow, which must be refused.
"""

import argparse
import copy
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from servers.definitions import DEFINITIONS, cached_definitions
from servers.errors import NotInstallable, StartError
from servers.kubernetes import INSTALL, VERSION, Kubernetes, not_cached, render, start_kubernetes
from servers.process import temporary_folder

HERE = Path(__file__).parent
CHART = HERE / "chart"
NAMESPACE = "loan-default"
RELEASE = "loan-default"
VARIANTS: dict[str, tuple[str, ...]] = {
    "chart": (),
    "chart, scaled": (
        "--set=commands.autoscaling.enabled=true",
        f"--set=image.digest=sha256:{'0' * 64}",
        "--set=imagePullSecrets[0].name=registry",
        "--set=commands.nodeSelector.disk=fast",
        "--set=api.autoscaling.targetRequestsInFlight=8",
        "--set=api.spool.claim=predictions",
        "--set=networkPolicy.callers.from[0].podSelector.matchLabels.app=ingress",
    ),
    "chart, own users": (
        "--set=init.makeUsers=true",
        "--set=home.storageClass=shared",
        "--set=kafka.securityProtocol=PLAINTEXT",
        "--set=kafka.caSecret=",
        "--set=networkPolicy.enabled=false",
    ),
}
"""Name -> options of helm."""
FILES = ("kafka.yaml", "mongodb.yaml")
_STRICT = ("apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "--filename=-")
_GROUPS = {"kafka.strimzi.io": "Strimzi", "mongodbcommunity.mongodb.com": "MongoDB"}
"""API group -> beginning of the operator's name in DEFINITIONS."""
_SERVED_WITHIN_SECONDS = 60
_SHOWN_CHARACTERS = 100
"""Of a refusal."""
_NOT_RENDERED = """\
Not rendered: airflow-values.yaml and airflow-values-kubernetes-executor.yaml. Airflow's official chart is in
no package registry."""

Object = dict[str, Any]


class Verdict(NamedTuple):
    """The answer of the server about one object."""

    source: str
    kind: str
    name: str
    checked_by: str
    refusal: str | None
    """None = it was accepted."""


def main() -> int:
    """Print two tables; 0 where all sound objects are accepted and all broken ones refused."""
    parser = argparse.ArgumentParser(prog="validate.py", description=__doc__.splitlines()[0])
    parser.add_argument("--install", action="store_true", help="build and download what is not in the cache")
    if parser.parse_args().install:
        _install()
    if missing := not_cached():
        _say(f"skipped: {', '.join(missing)} must be in the cache, however: not there. Use --install.")
        return 1
    with temporary_folder() as folder:
        try:
            with _running(folder / "kubernetes") as server:
                return report(server)
        except (NotInstallable, StartError) as reason:
            _say(str(reason))
            return 1


@contextmanager
def _running(folder: Path) -> Iterator[Kubernetes]:
    server = start_kubernetes(folder)
    try:
        yield server
    finally:
        server.stop()


def report(server: Kubernetes) -> int:
    """Check everything and print it."""
    operators = _prepare(server)
    sound = [_verdict(server, source, each, operators) for source, each in _objects()]
    broken = [_verdict(server, source, each, operators) for source, each in _broken_objects(operators)]
    broken.append(_misspelt_value())
    _say(f"The API server of Kubernetes {VERSION}, strict dry runs, in a namespace that warns of pods which")
    _say("the profile `restricted` does not allow; a warning is a refusal here.\n")
    _table(sound)
    _say("\nBroken on purpose:\n")
    _table(broken)
    missing = [name for name in DEFINITIONS if name not in operators]
    for name in missing:
        _say(f"\nNot validated here: resources of {name}, as its definitions could not be had.")
    refused = [each for each in sound if each.refusal]
    missed = [each for each in broken if not each.refusal]
    _say(f"\n{_NOT_RENDERED}\n")
    checked = sum(each.checked_by != "nobody" for each in sound)
    _say(
        f"{checked - len(refused)} of {checked} objects accepted, "
        f"{len(broken) - len(missed)} of {len(broken)} broken ones refused"
    )
    return 1 if refused or missed else 0


def _install() -> None:
    for name, build in {**INSTALL, **DEFINITIONS}.items():
        try:
            _say(f"{name}: {build()}")
        except NotInstallable as reason:
            _say(str(reason))


def _prepare(server: Kubernetes) -> dict[str, Path]:
    """Make the namespace and tell the server of the operators' resources; returns those that it knows."""
    created = server.call("create", f"--filename={HERE / 'namespace.yaml'}")
    if created.returncode:
        raise StartError("the namespace must be accepted, however: it is refused", log=created.stderr)
    operators = cached_definitions()
    for folder in operators.values():
        created = server.call("create", f"--filename={folder}")
        if created.returncode:
            raise StartError("definitions must be accepted, however: they are refused", log=created.stderr)
        _wait_until_served(server, folder)
    return operators


def _wait_until_served(server: Kubernetes, folder: Path) -> None:
    wait = ("wait", "--for=condition=Established", "--timeout=30s", f"--filename={folder}")
    deadline = time.monotonic() + _SERVED_WITHIN_SECONDS
    while (done := server.call(*wait)).returncode:  # it fails at once where there is no condition yet
        if time.monotonic() > deadline:
            raise StartError("definitions must be served in time, however: they are not", log=done.stderr)
        time.sleep(0.2)


def _objects() -> Iterator[tuple[str, Object]]:
    for variant in VARIANTS:
        for each in rendered(variant):
            yield variant, each
    for name in FILES:
        for each in documents((HERE / name).read_text("utf-8")):
            yield name, each


def rendered(variant: str) -> list[Object]:
    """The objects of our chart with a set of values."""
    done = render(CHART, *VARIANTS[variant], namespace=NAMESPACE, release=RELEASE)
    if done.returncode:
        raise StartError(f"helm must render the {variant}, however: it fails", log=done.stderr)
    return documents(done.stdout)


def documents(text: str) -> list[Object]:
    return [each for each in yaml.safe_load_all(text) if each]


def _broken_objects(operators: dict[str, Path]) -> Iterator[tuple[str, Object]]:
    """Sound objects with one mistake each."""
    chart = {each["kind"]: each for each in rendered("chart, scaled")}
    deployment = copy.deepcopy(chart["Deployment"])
    deployment["spec"]["replicaz"] = 2
    yield "a misspelt field", deployment
    scaler = copy.deepcopy(chart["HorizontalPodAutoscaler"])
    scaler["spec"]["maxReplicas"] = "three"
    yield "a wrong type", scaler
    privileged = copy.deepcopy(chart["Deployment"])
    del privileged["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"]
    yield "may be root", privileged
    foreign = copy.deepcopy(chart["Deployment"])
    foreign["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] = "other"
    yield "a selector of others", foreign
    custom = {each["kind"]: each for name in FILES for each in documents((HERE / name).read_text("utf-8"))}
    for kind, group in (("KafkaTopic", "Strimzi"), ("MongoDBCommunity", "MongoDB")):
        if any(name.startswith(group) for name in operators):
            wrong = copy.deepcopy(custom[kind])
            wrong["spec"]["partitionz"] = 3
            yield "a misspelt field", wrong


def _misspelt_value() -> Verdict:
    done = render(CHART, "--set=commands.replcas=2", namespace=NAMESPACE, release=RELEASE)
    refusal = _reason(done.stderr) if done.returncode else None
    return Verdict("a misspelt value", "values", "commands.replcas", "values.schema.json", refusal)


def _verdict(server: Kubernetes, source: str, document: Object, operators: dict[str, Path]) -> Verdict:
    group = document["apiVersion"].rpartition("/")[0]
    checker: str | None = f"Kubernetes {VERSION}"
    if group in _GROUPS:
        checker = next((name for name in operators if name.startswith(_GROUPS[group])), None)
    name = document["metadata"]["name"]
    if checker is None:
        return Verdict(source, document["kind"], name, "nobody", None)
    done = server.call(*_STRICT, f"--namespace={NAMESPACE}", document=document)
    refusal = _reason(done.stderr) if done.returncode else None
    return Verdict(source, document["kind"], name, checker, refusal)


def _reason(error: str) -> str:
    """The part of kubectl's error that matters: the text of a warning, the end of an error."""
    lines = [line.strip() for line in error.splitlines() if line.strip()] or ["it answered nothing"]
    line = lines[0] if lines[0].startswith("Warning:") else lines[-1]
    for before in ('error when creating "STDIN": ', "strict decoding error: ", "is invalid: "):
        line = line.rpartition(before)[2]
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]} …"


def _table(verdicts: list[Verdict]) -> None:
    rows = [("from", "kind", "name", "checked by", "verdict")]
    for each in verdicts:
        accepted = "not validated" if each.checked_by == "nobody" else "accepted"
        rows.append((each.source, each.kind, each.name, each.checked_by, each.refusal or accepted))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        _say("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
