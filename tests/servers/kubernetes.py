"""The API server of Kubernetes with its etcd, without nodes or controllers: it says what a cluster takes.

helm, kubectl and kube-apiserver are built from their Go modules, a quarter of an hour on two cores; etcd is
the distribution's. Nothing that is applied here ever runs.
"""

import json
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from servers.errors import NotInstallable
from servers.installation import cache_folder, find_program, installed, run
from servers.process import LOCALHOST, ServerProcess, listens, on_free_ports

VERSION = "1.34.2"
HELM_VERSION = "3.19.0"
_NAME = "Kubernetes"
_MODULE = f"k8s.io/kubernetes@v{VERSION}"
_SUM = "h1:WQdDvYJazkmkwSncgNwGvVtaCt4TYXIU3wSMRgvp3MI="
"""Of the module, as `go mod download -json` tells it."""
_GO_HINT = "from https://go.dev/dl or the package golang-go"
_GO_PLACES = ("/usr/local/go/bin", "/usr/lib/go/bin")
_SERVICE_ADDRESSES = "10.0.0.0/24"
_CALL_WITHIN_SECONDS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Kubernetes:
    """An API server that runs; who calls it here may do everything."""

    kubectl: Path
    config: Path
    folder: Path
    etcd: ServerProcess
    api: ServerProcess

    def call(self, *words: str, document: object = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl, with a document on its standard input where one is given."""
        return _kubectl(self.kubectl, self.config, *words, document=document)

    def stop(self) -> None:
        self.api.stop()
        self.etcd.stop()


def install_helm() -> Path:
    """The program; NotInstallable without Go or a network."""
    return installed("helm", HELM_VERSION, _build_helm) / "helm"


def install_kubectl() -> Path:
    return installed("kubectl", VERSION, _builder("kubectl")) / "kubectl"


def install_api_server() -> Path:
    return installed("kube-apiserver", VERSION, _builder("kube-apiserver")) / "kube-apiserver"


def install_etcd() -> Path:
    """The distribution's, installed or unpacked into the cache: its package would start a service."""
    if found := shutil.which("etcd"):
        return Path(found)
    return installed("etcd", "debian", _unpack_etcd) / "usr" / "bin" / "etcd"


INSTALL: dict[str, Callable[[], Path]] = {
    "helm": install_helm,
    "kubectl": install_kubectl,
    "etcd": install_etcd,
    "kube-apiserver": install_api_server,
}


def cached_helm() -> Path | None:
    """The program where it was installed before; nothing is built."""
    program = cache_folder() / f"helm-{HELM_VERSION}" / "helm"
    return program if program.is_file() else None


def not_cached() -> list[str]:
    """What `start_kubernetes` would have to build first."""
    folders = {
        "kubectl": f"kubectl-{VERSION}",
        "kube-apiserver": f"kube-apiserver-{VERSION}",
        "etcd": "etcd-debian",
    }
    missing = [name for name, folder in folders.items() if not (cache_folder() / folder).is_dir()]
    if "etcd" in missing and shutil.which("etcd"):
        missing.remove("etcd")
    return missing if cached_helm() else ["helm", *missing]


def start_kubernetes(folder: Path) -> Kubernetes:
    """Start etcd and the API server with their data in `folder`, which must be new or empty.

    Raises:
        NotInstallable: no Go, no Debian packages or no network.
        StartError: they do not come up.
    """
    etcd_program, api_program, kubectl = install_etcd(), install_api_server(), install_kubectl()
    folder.mkdir(parents=True, exist_ok=True)
    _make_keys(folder)
    with ExitStack() as started:
        etcd, etcd_address = on_free_ports(2, lambda ports: _start_etcd(etcd_program, folder, ports))
        started.callback(etcd.kill)
        api = on_free_ports(1, lambda ports: _start_api(api_program, kubectl, folder, etcd_address, *ports))
        started.pop_all()
    return Kubernetes(kubectl=kubectl, config=folder / "config", folder=folder, etcd=etcd, api=api)


def render(chart: Path, *words: str, namespace: str, release: str) -> subprocess.CompletedProcess[str]:
    """`helm template`, as for the cluster that is started here."""
    command = (str(install_helm()), "template", release, str(chart), f"--namespace={namespace}")
    return subprocess.run(
        (*command, f"--kube-version={VERSION}", *words),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_CALL_WITHIN_SECONDS,
        check=False,
    )


def _start_etcd(program: Path, folder: Path, ports: list[int]) -> tuple[ServerProcess, str]:
    clients, peers = (f"http://{LOCALHOST}:{port}" for port in ports)
    process = ServerProcess(
        name="etcd",
        command=[
            str(program),
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
        ],
        log=folder / "etcd.log",
        is_ready=lambda: listens(ports[0]),
    )
    process.start()
    return process, clients


def _start_api(program: Path, kubectl: Path, folder: Path, etcd: str, port: int) -> ServerProcess:
    config = folder / "config"
    _write_config(config, folder, port)
    process = ServerProcess(
        name=f"kube-apiserver {VERSION}",
        command=[
            str(program),
            f"--etcd-servers={etcd}",
            f"--bind-address={LOCALHOST}",
            f"--secure-port={port}",
            f"--cert-dir={folder / 'certificates'}",
            f"--service-cluster-ip-range={_SERVICE_ADDRESSES}",
            f"--service-account-key-file={folder / 'accounts.pub'}",
            f"--service-account-signing-key-file={folder / 'accounts.key'}",
            "--service-account-issuer=https://localhost",
            "--authorization-mode=RBAC",
            f"--token-auth-file={folder / 'tokens.csv'}",
        ],
        log=folder / "api.log",
        is_ready=lambda: (
            listens(port) and _kubectl(kubectl, config, "get", "--raw=/readyz").stdout.strip() == "ok"
        ),
    )
    process.start()
    return process


def _make_keys(folder: Path) -> None:
    openssl = find_program(_NAME, "openssl", hint="on Debian: apt-get install openssl")
    run(_NAME, openssl, "genrsa", "-out", "accounts.key", "2048", folder=folder)
    run(_NAME, openssl, "rsa", "-in", "accounts.key", "-pubout", "-out", "accounts.pub", folder=folder)
    tokens = folder / "tokens.csv"
    tokens.touch(mode=0o600)
    tokens.write_text(f'{secrets.token_hex(16)},admin,1,"system:masters"\n', encoding="utf-8")


def _write_config(config: Path, folder: Path, port: int) -> None:
    """Whom kubectl calls and as whom, in JSON, which is YAML as well."""
    authority = str(folder / "certificates" / "apiserver.crt")
    cluster = {"server": f"https://{LOCALHOST}:{port}", "certificate-authority": authority}
    token = (folder / "tokens.csv").read_text(encoding="utf-8").partition(",")[0]
    config.touch(mode=0o600)
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
        "current-context": "here",
    }
    config.write_text(json.dumps(content), encoding="utf-8")


def _kubectl(
    program: Path, config: Path, *words: str, document: object = None
) -> subprocess.CompletedProcess[str]:
    options = (f"--kubeconfig={config}", f"--cache-dir={config.parent / 'cache'}")
    return subprocess.run(
        (str(program), *options, *words),
        input="" if document is None else json.dumps(document),
        capture_output=True,
        text=True,
        timeout=_CALL_WITHIN_SECONDS,
        check=False,
    )


def _build_helm(target: Path) -> None:
    module = f"helm.sh/helm/v3/cmd/helm@v{HELM_VERSION}"
    environ = {"GOBIN": str(target), "CGO_ENABLED": "0"}
    run("helm", find_go("helm"), "install", module, folder=target, environ=environ)


def _builder(command: str) -> Callable[[Path], None]:
    return lambda target: _build(target, command)


def _build(target: Path, command: str) -> None:
    """Build a command of k8s.io/kubernetes from a module of our own.

    The published one cannot be built by itself: it replaces parts by folders of its repository. They are
    published too, each as a module of the same version.
    """
    go = find_go(command)
    module = json.loads(run(command, go, "mod", "download", "-json", _MODULE, folder=target))
    if module["Sum"] != _SUM:
        raise NotInstallable(command, f"the digest of its module must be {_SUM}, however: {module['Sum']}")
    parts = re.findall(r"(k8s\.io/[a-z0-9-]+) => \./staging/", Path(module["GoMod"]).read_text("utf-8"))
    major, minor, patch = VERSION.split(".")
    source = target / "source"
    source.mkdir()
    lines = ["module loan-default.invalid/kubernetes", "go 1.24.0", f"require {_MODULE.replace('@', ' ')}"]
    lines += [f"replace {part} => {part} v0.{minor}.{patch}" for part in parts]
    (source / "go.mod").write_text("\n".join(lines) + "\n", encoding="utf-8")
    stamped = {"gitVersion": f"v{VERSION}", "gitMajor": major, "gitMinor": minor}
    flags = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in stamped.items())
    build = (go, "build", "-mod=mod", "-trimpath", f"-ldflags=-s -w {flags}", f"-o={target / command}")
    run(command, *build, f"k8s.io/kubernetes/cmd/{command}", folder=source, environ={"CGO_ENABLED": "0"})
    shutil.rmtree(source)


def _unpack_etcd(target: Path) -> None:
    hint = "etcd must be installed: from https://etcd.io, or on Debian: apt-get install etcd-server"
    apt, dpkg = (find_program("etcd", name, hint=hint) for name in ("apt-get", "dpkg-deb"))
    run("etcd", apt, "download", "etcd-server", folder=target)
    package = next(target.glob("etcd-server_*.deb"))
    run("etcd", dpkg, "-x", package.name, ".", folder=target)
    package.unlink()


def find_go(server: str) -> str:
    return find_program(server, "go", places=_GO_PLACES, hint=_GO_HINT)
