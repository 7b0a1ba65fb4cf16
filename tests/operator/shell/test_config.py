"""The command line of the operator."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving_operator.config import parse


def test_defaults() -> None:
    """Without flags and environment everything has a value."""
    config = parse([], {})

    assert (config.host, config.port) == ("", 8080)
    assert config.lease_namespace == "serving-system"
    assert config.namespaces == ()
    assert config.workers == 8
    assert config.resync_seconds == 600


def test_flags_go_before_the_environment() -> None:
    """A flag holds against its environment variable, which holds against the default."""
    environ = {
        "WORKERS": "3",
        "RESYNC_SECONDS": "60",
        "LISTEN_ADDRESS": "127.244.1.2",
        "POD_NAME": "operator-0",
    }

    config = parse(["--workers", "2", "--namespace", "a, b", "--drain-seconds", "9"], environ)

    assert config.workers == 2
    assert config.resync_seconds == 60
    assert (config.host, config.port) == ("127.244.1.2", 8080)
    assert config.namespaces == ("a", "b")
    assert config.settings.drain_seconds == 9
    assert config.identity.startswith("operator-0_")


def test_where_prometheus_is(tmp_path: Path) -> None:
    """Prometheus is known by flags as the autoscaler has them, or by the environment; without either there is none."""
    token = tmp_path / "token"
    token.write_text("x")

    config = parse(
        [
            "--prometheus-url=https://p:9090",
            f"--prometheus-bearer-token-file={token}",
            "--prometheus-header=X-Scope-OrgID=team",
            "--prometheus-header=X-A=b=c",
            '--prometheus-matcher=cluster="a"',
        ],
        {},
    )

    assert config.prometheus is not None
    assert (config.prometheus.url, config.prometheus.bearer_token_file) == ("https://p:9090", token)
    assert config.prometheus.headers == {"X-Scope-OrgID": "team", "X-A": "b=c"}
    assert config.prometheus_matcher == 'cluster="a"'
    assert parse([], {}).prometheus is None
    by_environment = parse(
        [], {"PROMETHEUS_URL": "http://p:9090", "PROMETHEUS_HEADER": "A=b\nC=d"}
    ).prometheus
    assert by_environment is not None
    assert (by_environment.url, by_environment.headers) == ("http://p:9090", {"A": "b", "C": "d"})


def test_the_file_goes_behind_flags_and_environment(tmp_path: Path) -> None:
    """What the administrator's file says holds where neither a flag nor the environment says otherwise."""
    file = tmp_path / "config.yaml"
    file.write_text(
        "namespaces: [a, b]\n"
        "prometheus: {url: http://file:9090, headers: {X-A: b=c}, matcher: 'cluster=\"a\"'}\n"
        "route: {hostnameTemplate: '{name}.example.com'}\n"
        "accelerators: [{resource: nvidia.com/gpu, tolerations: [{operator: Exists}]}]\n"
        "operator: {workers: 3, resyncSeconds: 60, propagationDelaySeconds: 2.5, logLevel: debug}\n"
    )

    config = parse(["--workers=4"], {"CONFIG_FILE": str(file), "RESYNC_SECONDS": "90"})

    assert config.namespaces == ("a", "b")
    assert (config.workers, config.resync_seconds, config.log_level) == (4, 90, "debug")
    assert config.settings.propagation_delay_seconds == 2.5
    assert config.settings.route.hostname_template == "{name}.example.com"
    assert [entry.resource for entry in config.settings.accelerators] == ["nvidia.com/gpu"]
    assert config.prometheus is not None
    assert (config.prometheus.url, config.prometheus.headers) == ("http://file:9090", {"X-A": "b=c"})
    assert config.prometheus_matcher == 'cluster="a"'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "prometheus: {url: http://p:9090, bearerTokenFile: /no/such}",
            "prometheus.bearerTokenFile of the configuration '/no/such'",
        ),
        (
            "prometheus: {url: http://p:9090, caFile: /no/such}",
            "prometheus.caFile of the configuration '/no/such'",
        ),
        ("models: {downloadNetworks: [x]}", "models.downloadNetworks of the configuration 'x'"),
    ],
)
def test_what_the_file_gets_wrong_is_named_by_its_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    """A token file that is not mounted, or no network, is told as the file spells it, not by an option that nobody gave."""
    file = tmp_path / "config.yaml"
    file.write_text(text)

    with pytest.raises(SystemExit):
        parse(["--config", str(file)], {})

    assert words in capsys.readouterr().err


def test_leases_are_where_the_pod_is() -> None:
    """The namespace of the Leases is the pod's own unless one is stated."""
    pod = {"POD_NAMESPACE": "ml-system"}

    assert parse([], pod).settings.namespace == "ml-system"
    assert parse([], pod | {"LEASE_NAMESPACE": "leases"}).lease_namespace == "leases"
    assert parse(["--lease-namespace", "x"], pod).lease_namespace == "x"
    one = [
        parse(["--namespace", told], pod).settings.one_namespace for told in ("ml-system", "a", "ml-system,a")
    ]
    assert one == [True, False, False]
    assert not parse([], pod).settings.one_namespace


def test_two_processes_of_one_pod_are_two_candidates() -> None:
    """The identity is unique to the process, or a restarted container would think it still led."""
    assert parse([], {"POD_NAME": "p"}).identity != parse([], {"POD_NAME": "p"}).identity


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        (["--workers", "0"], {}, "--workers '0': expected a whole number from 1 to 64"),
        (["--workers", "2.5"], {}, "--workers '2.5': expected a whole number"),
        ([], {"RESYNC_SECONDS": "soon"}, "RESYNC_SECONDS 'soon': expected a number from 10 to 86400"),
        (["--resync-seconds", "nan"], {}, "--resync-seconds 'nan': expected a number"),
        (["--lease-namespace", "A_B"], {}, "--lease-namespace 'A_B': expected the name of a namespace"),
        (["--namespace", "a,B"], {}, "--namespace 'a,B': expected names of namespaces"),
        (["--log-level", "loud"], {}, "--log-level 'loud': expected one of debug"),
        (["--listen", "8080"], {}, "--listen '8080': expected ADDRESS:PORT"),
        (["--prometheus-url", "p:9090"], {}, "--prometheus-url 'p:9090': expected http://HOST:PORT"),
        (["--prometheus-ca-file", "/nowhere"], {}, "expected the path of a file that exists"),
        (["--prometheus-header", "x"], {}, "--prometheus-header: must be NAME=VALUE"),
        (["--prometheus-matcher", "{a}"], {}, "expected a label matcher without brackets"),
        (["--config", "/nowhere/config.yaml"], {}, "/nowhere/config.yaml: there is no such file"),
        (["--name", "x"], {}, "unrecognized arguments"),
    ],
)
def test_bad_input_is_named(
    arguments: list[str], environ: dict[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A value that cannot be used ends the program with where it stood and what is expected."""
    with pytest.raises(SystemExit) as ended:
        parse(arguments, environ)

    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_help_tells_of_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    """--help names the flags, their defaults and the environment."""
    with pytest.raises(SystemExit) as ended:
        parse(["--help"], {})

    shown = capsys.readouterr().out
    assert ended.value.code == 0
    for text in ("--listen", "--lease-namespace", "--namespace", "--workers", "KUBECONFIG", "RESYNC_SECONDS"):
        assert text in shown
