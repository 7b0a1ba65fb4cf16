"""The command line: what is refused, and with which words."""

from pathlib import Path

import pytest

from autoscaler.__main__ import arguments, settings_of, unready


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["--prometheus-url", "prometheus:9090"], "must be http://HOST:PORT"),
        (
            ["--prometheus-url", "http://p:9090", "--tick-seconds", "0"],
            "--tick-seconds 0: must be from 1 to 60",
        ),
        (["--prometheus-url", "http://p:9090", "--listen", "nowhere"], "--listen"),
        (["--prometheus-url", "http://p:9090", "--prometheus-header", "X"], "must be NAME=VALUE"),
        (["--prometheus-url", "http://p:9090", "--prometheus-ca-file", "/no/such"], "there is no such file"),
        (["--prometheus-url", "http://p:9090", "--prometheus-matcher", '{cluster="a"}'], "without brackets"),
    ],
)
def test_refused(given: list[str], complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad input is refused with the option and the remedy."""
    monkeypatch.delenv("PROMETHEUS_URL", raising=False)
    with pytest.raises(ValueError, match=r"^--") as refusal:
        settings_of(arguments().parse_args(given))
    assert complaint in str(refusal.value)


def test_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given arrives, and the environment fills in."""
    monkeypatch.setenv("PROMETHEUS_URL", "http://prometheus:9090")
    monkeypatch.setenv("LISTEN_ADDRESS", "127.0.0.9")
    monkeypatch.setenv("POD_NAMESPACE", "elsewhere")
    token = tmp_path / "token"
    token.write_text("t")
    settings = settings_of(
        arguments().parse_args(
            [
                "--prometheus-bearer-token-file",
                str(token),
                "--prometheus-header",
                "X-Scope-OrgID=a=b",
                "--prometheus-matcher",
                'cluster="a"',
                "--namespace",
                "one",
                "--namespace",
                "two",
            ]
        )
    )
    assert settings.prometheus.url == "http://prometheus:9090"
    assert settings.prometheus.bearer_token_file == token
    assert settings.prometheus.headers == {"X-Scope-OrgID": "a=b"}
    assert (settings.host, settings.port) == ("127.0.0.9", 8080)
    assert settings.namespaces == ("one", "two")
    assert settings.lease_namespace == "elsewhere"


def test_the_file_goes_behind_flags_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the administrator's file says holds where neither an option nor the environment says otherwise."""
    for name in ("PROMETHEUS_URL", "WATCH_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "config.yaml"
    file.write_text(
        "namespaces: [a, b]\n"
        "prometheus: {url: http://file:9090, headers: {X-A: b}, matcher: 'cluster=\"a\"'}\n"
        "autoscaler: {tickSeconds: 10}\n"
    )
    monkeypatch.setenv("CONFIG_FILE", str(file))

    settings = settings_of(arguments().parse_args([]))

    assert (settings.prometheus.url, settings.prometheus.headers) == ("http://file:9090", {"X-A": "b"})
    assert (settings.matcher, settings.tick_seconds, settings.namespaces) == ('cluster="a"', 10, ("a", "b"))
    monkeypatch.setenv("WATCH_NAMESPACE", "c")
    stated = settings_of(arguments().parse_args(["--tick-seconds=3", "--prometheus-url=http://flag:9090"]))
    assert (stated.tick_seconds, stated.prometheus.url, stated.namespaces) == (3, "http://flag:9090", ("c",))


def test_a_file_that_the_configuration_names_must_exist(tmp_path: Path) -> None:
    """A token or an authority that is not mounted is named by the key that states it, not by an option that nobody gave."""
    file = tmp_path / "config.yaml"
    for key in ("bearerTokenFile", "caFile"):
        file.write_text(f"prometheus: {{{key}: /no/such}}")
        with pytest.raises(ValueError, match=rf"^prometheus\.{key} of the configuration /no/such: "):
            settings_of(arguments().parse_args(["--config", str(file)]))


def test_nothing_said_is_the_usual_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without option, environment and file the autoscaler asks Prometheus where most clusters have it, every five seconds."""
    for name in ("PROMETHEUS_URL", "CONFIG_FILE", "WATCH_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)

    settings = settings_of(arguments().parse_args([]))

    assert settings.prometheus.url == "http://prometheus.monitoring.svc:9090"
    assert (settings.matcher, settings.tick_seconds, settings.namespaces) == ("", 5, ())


@pytest.mark.parametrize(
    ("is_stopping", "leads", "has_ticked", "why"),
    [
        (False, False, False, None),
        (False, True, False, "waits for the first tick"),
        (False, True, True, None),
        (True, True, True, "stopping"),
    ],
)
def test_who_stands_by_is_ready(is_stopping: bool, leads: bool, has_ticked: bool, why: str | None) -> None:
    """A pod that waits for the Lease is ready, or an upgrade would wait for it for ever; a leader is once it has ticked."""
    assert unready(is_stopping=is_stopping, leads=leads, has_ticked=has_ticked) == why
