"""Programs that were found are taken as a whole set, or refused with the reason."""

import io
import os
from pathlib import Path

import pytest

from localcluster import binaries, download, environments, gobuild, versions
from localcluster.cluster import DEFAULT_RUN_DIR, NodeCapacity
from localcluster.lock import exclusive, is_held
from localcluster.ports import free_ports
from localcluster.progress import Progress
from localcluster.up import GATEWAY_HTTP_PORT, PROMETHEUS_PORT, StartError, preferred_ports, start
from localcluster.versions import Version, version_of


def program(folder: Path, name: str, says: str) -> Path:
    """An executable that prints its version."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def control_plane(folder: Path, **said: str) -> str:
    """The four programs in a folder, all of the release in use unless said otherwise."""
    for name in binaries.KUBERNETES_PROGRAMS:
        program(folder, name, said.get(name.replace("-", "_"), f"Kubernetes {versions.KUBERNETES}"))
    program(folder, "etcd", said.get("etcd", "etcd Version: 3.6.4\nGit SHA: 0"))
    return str(folder)


def test_a_whole_set_of_an_accepted_release_is_taken(tmp_path: Path) -> None:
    """Each of the three newest minors will do."""
    for minor in versions.ACCEPTED_MINORS:
        says = f"Kubernetes v1.{minor}.0"
        folder = control_plane(
            tmp_path, kube_apiserver=says, kube_controller_manager=says, kube_scheduler=says
        )
        programs, refusal = binaries.control_plane_in(folder)
        assert refusal == ""
        assert programs is not None
        assert set(programs) == set(binaries.PROGRAMS)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"kube_apiserver": "Kubernetes v1.34.9"}, "kube-apiserver is 1.34.9, accepted are 1.35 to 1.37"),
        ({"kube_scheduler": "Kubernetes v1.38.0"}, "kube-scheduler is 1.38.0, accepted are 1.35 to 1.37"),
        ({"kube_controller_manager": "hello"}, "kube-controller-manager is of unknown version"),
        ({"kube_scheduler": "Kubernetes v1.36.1"}, r"different minors: \[36, 37\]"),
        ({"etcd": "etcd Version: 3.4.30"}, "etcd is 3.4.30, 3.5 is the oldest"),
    ],
)
def test_a_set_that_does_not_fit_is_refused_with_the_reason(
    tmp_path: Path, said: dict[str, str], reason: str
) -> None:
    """The message names the program, what it is and what is accepted."""
    programs, refusal = binaries.control_plane_in(control_plane(tmp_path, **said))
    assert programs is None
    with pytest.raises(ValueError, match=reason):
        raise ValueError(refusal)


def test_an_incomplete_set_names_what_it_lacks(tmp_path: Path) -> None:
    """The usual test assets hold an API server and etcd only."""
    program(tmp_path, "kube-apiserver", "Kubernetes v1.37.0")
    program(tmp_path, "etcd", "etcd Version: 3.6.4")
    programs, refusal = binaries.control_plane_in(str(tmp_path))
    assert programs is None
    assert refusal.endswith("not kube-controller-manager, kube-scheduler")


def test_an_empty_folder_is_no_refusal(tmp_path: Path) -> None:
    """Where nothing is, nothing needs to be explained."""
    assert binaries.control_plane_in(str(tmp_path)) == (None, "")


def test_assets_are_used_before_anything_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set named by the environment needs no cache, no network and no Go."""
    monkeypatch.setenv("KUBEBUILDER_ASSETS", control_plane(tmp_path / "assets"))
    monkeypatch.setattr(gobuild, "toolchain", lambda *_: pytest.fail("Go was asked for"))
    progress = io.StringIO()
    programs = binaries.control_plane(tmp_path / "cache", Progress(progress))
    assert programs["etcd"] == tmp_path / "assets" / "etcd"
    assert "from KUBEBUILDER_ASSETS" in progress.getvalue()


def test_kubectl_far_from_the_server_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One minor of distance is what Kubernetes supports; beyond it the packaged one is used, and said so."""
    near = program(tmp_path / "near", "kubectl", "Client Version: v1.36.0")
    monkeypatch.setenv("PATH", f"{near.parent}:{os.environ['PATH']}")
    assert binaries.kubectl(Progress(io.StringIO()), 37) == near
    far = program(tmp_path / "far", "kubectl", "Client Version: v1.32.4")
    monkeypatch.setenv("PATH", f"{far.parent}:{os.environ['PATH']}")
    said = io.StringIO()
    assert binaries.kubectl(Progress(said), 37) != far
    assert "is 1.32.4, the server is 1.37" in said.getvalue()


def test_a_prometheus_without_kubernetes_discovery_is_recognised(tmp_path: Path) -> None:
    """Some distributions build it without."""
    without, with_it = tmp_path / "without", tmp_path / "with"
    without.write_bytes(b"\0github.com/prometheus/prometheus/discovery/file\0")
    with_it.write_bytes(b"\0github.com/prometheus/prometheus/discovery/kubernetes\0")
    assert not binaries.finds_pods(without)
    assert binaries.finds_pods(with_it)


def test_promtool_is_found_or_had_as_prometheus_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One on PATH will do if it is recent; else it is kept beside Prometheus, built where it cannot be downloaded."""

    def no_download(*_: object) -> None:
        raise download.DownloadError("no connection")

    def build(_: Path, name: str, target: Path, __: Progress) -> None:
        program(target.parent, name, "promtool, version 3.16.0")

    monkeypatch.setattr(download, "program", no_download)
    monkeypatch.setattr(gobuild, "toolchain", lambda *_: Path("/go"))
    monkeypatch.setattr(gobuild, "build", build)
    found = program(tmp_path / "bin", "promtool", "promtool, version 3.5.0 (branch: HEAD)")
    monkeypatch.setenv("PATH", f"{found.parent}:/usr/bin:/bin")
    assert binaries.promtool(tmp_path / "cache", Progress(io.StringIO())) == found
    program(tmp_path / "bin", "promtool", "promtool, version 2.30.0 (branch: HEAD)")
    said = io.StringIO()
    built = tmp_path / "cache" / f"prometheus-{versions.PROMETHEUS}" / "promtool"
    built.parent.mkdir(parents=True)
    assert binaries.promtool(tmp_path / "cache", Progress(said)) == built
    assert "is 2.30.0, 2.41 is the oldest" in said.getvalue()


def test_an_old_go_is_passed_over_and_its_absence_has_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a toolchain the message says what to install, and what to do instead."""
    old = program(tmp_path / "bin", "go", "go version go1.21.0 linux/amd64")

    def no_package(*_: object) -> Path:
        raise environments.EnvironmentBuildError("no index")

    monkeypatch.setenv("PATH", str(old.parent) + ":/usr/bin:/bin")
    monkeypatch.setattr(gobuild, "ensure_environment", no_package)
    said = io.StringIO()
    with pytest.raises(gobuild.BuildError, match=r"Install Go .* or put the programs into \$KUBEBUILDER"):
        gobuild.toolchain(tmp_path, Progress(said))
    assert f"{old} is 1.21.0, {gobuild.needed_go()} or newer is needed" in said.getvalue()


def test_a_failed_build_shows_the_compiler_and_leaves_no_program(tmp_path: Path) -> None:
    """The last lines of the toolchain are in the message; the target does not appear."""
    broken = program(tmp_path, "go", "")
    broken.write_text("#!/bin/sh\necho 'no space left on device' >&2\nexit 1\n")
    with pytest.raises(gobuild.BuildError, match="no space left on device"):
        gobuild.build(broken, "etcd", tmp_path / "out" / "etcd", Progress(io.StringIO()))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_built_program_appears_by_rename(tmp_path: Path) -> None:
    """What is half written carries another name."""
    compiler = program(tmp_path, "go", "")
    compiler.write_text(
        '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\n'
        'case "$2" in */.etcd.new) echo built > "$2";; *) exit 9;; esac\n'
    )
    gobuild.build(compiler, "etcd", tmp_path / "out" / "etcd", Progress(io.StringIO()))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["etcd"]


def test_every_module_pins_the_releases_in_use() -> None:
    """go.mod and the version table cannot drift apart."""
    control = (gobuild.SOURCES["etcd"].module / "go.mod").read_text()
    newest, oldest = versions.RELEASES.items()
    assert f"k8s.io/kubernetes {newest[1]}\n" in control
    older = (gobuild.GO_MODULE / f"kubernetes-{oldest[0]}" / "go.mod").read_text()
    assert f"k8s.io/kubernetes {oldest[1]}\n" in older
    assert f"go.etcd.io/etcd/server/v3 {versions.ETCD}\n" in control
    release = Version.parse(versions.PROMETHEUS)
    assert release is not None
    module = f"github.com/prometheus/prometheus v0.{release.major}{release.minor:02d}.{release.patch}\n"
    assert module in (gobuild.SOURCES["prometheus"].module / "go.mod").read_text()
    for name, version in (
        ("helm", versions.HELM),
        ("kubeconform", versions.KUBECONFORM),
        ("metrics-server", versions.METRICS_SERVER),
        ("keda-operator", versions.KEDA),
        ("keda-adapter", versions.KEDA),
    ):
        pinned = (gobuild.SOURCES[name].module / "go.mod").read_text()
        package = gobuild.SOURCES[name].package.partition("/cmd/")[0]
        assert f"require {package} {version}\n" in pinned
    pinned = (gobuild.SOURCES["kstatus"].module / "go.mod").read_text()
    assert f"github.com/fluxcd/cli-utils {versions.KSTATUS}\n" in pinned


def test_a_release_is_asked_for_by_its_minor() -> None:
    """Without one it is the newest; of another that is not supported it is said which are."""
    assert versions.release_of(None) == versions.release_of("1.37") == "v1.37.2"
    assert versions.release_of("1.34") == "v1.34.4"
    with pytest.raises(SystemExit, match=r"KUBERNETES=1\.30: expected 1\.37 or 1\.34"):
        versions.release_of("1.30")


def test_versions_compare_as_numbers() -> None:
    """1.9 is older than 1.10."""
    assert Version.parse("go1.9") < Version.parse("go version go1.10.1 linux")  # type: ignore[operator]
    assert Version.parse("no version") is None
    assert version_of(Path("/nonexistent")) is None


def test_a_lock_is_seen_while_it_is_held(tmp_path: Path) -> None:
    """Whoever asks learns of a live holder, and of none after its end, however it ended."""
    path = tmp_path / "lock"
    assert not is_held(path)
    with exclusive(path):
        assert is_held(path)
    assert not is_held(path)


def test_ports_are_distinct_and_prefer_what_is_asked_for() -> None:
    """A preferred port that is free is taken; a taken one is replaced."""
    free = free_ports(1)[0]
    ports = free_ports(9, (free, free))
    assert ports[0] == free
    assert len(set(ports)) == 9


def test_only_the_cluster_for_people_has_well_known_ports(tmp_path: Path) -> None:
    """Others, which programs start, may start at the same moment and would then share a port."""
    assert preferred_ports(DEFAULT_RUN_DIR.resolve()) == (GATEWAY_HTTP_PORT, PROMETHEUS_PORT)
    assert preferred_ports(tmp_path) == ()


def test_a_folder_with_other_files_is_refused_as_run_directory(tmp_path: Path) -> None:
    """`up` empties its run directory, so it must be sure that it is one."""
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StartError, match="holds other files"):
        start(tmp_path, NodeCapacity(cpu="1", memory="1Gi", gpus=0), Progress(io.StringIO()))
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
