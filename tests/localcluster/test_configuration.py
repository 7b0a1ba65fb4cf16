"""What a cluster is configured with: components, Prometheus, the file that others read."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster import component, prometheus
from localcluster.cli import main
from localcluster.cluster import Cluster, ClusterNotFoundError, NodeCapacity
from localcluster.paths import CONFIG, this_python

PROGRAMS = {
    name: Path("/programs") / name
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "prometheus")
}


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """A cluster that was described and never started."""
    cluster = Cluster(
        run_dir=tmp_path,
        cache_dir=tmp_path / "cache",
        kubeconfig=tmp_path / "kubeconfig",
        api_port=1,
        etcd_port=2,
        etcd_peer_port=3,
        controller_manager_port=4,
        scheduler_port=5,
        gateway_http_port=6,
        envoy_admin_port=7,
        prometheus_port=8,
        dcgm_port=9,
        model_server_python=tmp_path / "python",
        node=NodeCapacity(cpu="2", memory="4Gi", gpus=1),
    )
    (tmp_path / "kubeconfigs").mkdir()
    (tmp_path / "kubeconfigs" / "prometheus.kubeconfig").touch()
    return cluster


def test_a_cluster_survives_being_written_and_read(cluster: Cluster) -> None:
    """Every component reads the same cluster that `up` described."""
    cluster.save()
    assert Cluster.load(cluster.run_dir) == cluster


def test_a_missing_cluster_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    """Whoever starts a component by hand learns what to start first."""
    with pytest.raises(ClusterNotFoundError, match="-m localcluster up"):
        Cluster.load(tmp_path)


def test_a_cluster_of_another_version_is_refused(cluster: Cluster) -> None:
    """Its fields are named, and what to do."""
    (cluster.run_dir / "cluster.json").write_text('{"run_dir": "/somewhere", "color": "blue"}')
    with pytest.raises(ClusterNotFoundError, match=r"another version .*color.*down"):
        Cluster.load(cluster.run_dir)


def test_components_are_filled_in_and_survive_storage(cluster: Cluster) -> None:
    """No placeholder is left, nobody waits for a stranger or for one that is started later."""
    components = component.components_of(cluster, PROGRAMS)
    seen: set[str] = set()
    for entry in components:
        text = " ".join([*entry.argv, entry.ready or "", entry.trust or "", entry.identify or ""])
        assert "{" not in text
        assert set(entry.after) <= seen
        seen.add(entry.name)
    component.save(cluster.run_dir, components)
    listed = [replace(entry, argv=list(entry.argv), after=list(entry.after)) for entry in components]
    assert component.load(cluster.run_dir) == listed


def test_a_cluster_may_have_some_components_only(cluster: Cluster) -> None:
    """Those that are named, without programs for the others; whoever they wait for must be among them."""
    wanted = ("etcd", "kube-apiserver", "kube-controller-manager")
    programs = {name: PROGRAMS[name] for name in wanted}

    found = component.components_of(cluster, programs, wanted)

    assert [entry.name for entry in found] == list(wanted)
    assert {name for entry in found for name in entry.after} <= set(wanted)


def test_components_listen_on_loopback_only(cluster: Cluster) -> None:
    """Every address that a command line names is 127.0.0.1."""
    for entry in component.components_of(cluster, PROGRAMS):
        for word in entry.argv:
            if "://" in word and "kubernetes.default" not in word:
                assert "//127.0.0.1:" in word, word
            if word.startswith(("--bind-address", "--web.listen-address")):
                assert "=127.0.0.1" in word, word


def scrape_configs() -> list[dict[str, Any]]:
    """What the repository recommends to any Prometheus."""
    recommended: list[dict[str, Any]] = yaml.safe_load(prometheus.SCRAPE_CONFIG.read_text())["scrape_configs"]
    return recommended


def test_prometheus_differs_from_the_recommendation_by_one_rule(cluster: Cluster) -> None:
    """Beside credentials, each job gains the address rule and nothing else; there is no further job."""
    recommended = scrape_configs()
    content = prometheus.configuration(cluster, recommended, ())
    jobs = {job["job_name"]: job for job in content["scrape_configs"]}
    for job in recommended:
        local = jobs[job["job_name"]]
        assert local["relabel_configs"] == [*job["relabel_configs"], prometheus.POD_ADDRESS_RULE]
        differing = {key for key in {*job, *local} if job.get(key) != local.get(key)}
        assert differing == {"relabel_configs", "kubernetes_sd_configs"}
    assert scrape_configs() == recommended
    assert len(jobs) == len(recommended)


def test_prometheus_scrapes_all_jobs_as_often_as_its_rules_are_evaluated(cluster: Cluster) -> None:
    """The recommended interval of a job would make everybody wait three times as long."""
    cluster.run_dir.mkdir(parents=True, exist_ok=True)
    prometheus.prepare(cluster)
    written = yaml.safe_load((cluster.run_dir / "prometheus.yaml").read_text())
    assert written["global"]["scrape_interval"] == written["global"]["evaluation_interval"]
    assert [job for job in written["scrape_configs"] if "scrape_interval" in job] == []


def test_the_shipped_rules_and_alerts_are_in_force(cluster: Cluster) -> None:
    """Whoever tries the product sees its alerts, and the tests their mistakes."""
    content = prometheus.configuration(cluster, scrape_configs(), prometheus.RULES)
    shipped = {path.stem: path for path in map(Path, content["rule_files"])}
    assert set(shipped) == {"rules", "objectives", "alerts"}
    assert all(path.is_file() for path in shipped.values())


def test_prometheus_may_read_pods_and_nothing_else() -> None:
    """Its role is the least that discovery needs."""
    objects = list(yaml.safe_load_all((CONFIG / "basics.yaml").read_text()))
    roles = [each["rules"] for each in objects if each["kind"] == "ClusterRole"]
    assert roles == [[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]]


@pytest.mark.parametrize("command", ["up", "down", "status", "logs", "env", "halt", "resume"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` names the run directory and ends well."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "--run-dir" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["status"], 1, f"{this_python()} -m localcluster up"),
        (["env"], 1, f"{this_python()} -m localcluster up"),
        (["logs", "etcd"], 1, "no log of 'etcd'"),
        (["down"], 0, "nothing runs in"),
    ],
)
def test_commands_without_a_cluster_say_so(
    tmp_path: Path, arguments: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, and `down` is not an error."""
    assert main([*arguments, "--run-dir", str(tmp_path)]) == status
    assert said in capsys.readouterr().err
