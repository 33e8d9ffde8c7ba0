from __future__ import annotations

import json

import pytest

from harness.diagnosis import commands
from harness.diagnosis.facts import Facts
from harness.diagnosis.judgement import judge
from harness.diagnosis.prescription import prescription, summary
from harness.diagnosis.wording import own_words

from . import test_rules_paths as paths
from . import test_rules_tunnel as tunnel
from .evidence_samples import BACK, FRONT, REDIS, Sample, forward_rules


def test_health_is_said_in_a_word_and_a_line_a_path() -> None:
    """Nothing is found: the headline, and every path that was tried."""
    diagnosis = Sample().diagnosis
    assert prescription(diagnosis).splitlines() == [
        "healthy",
        "",
        *(f"{app}→{kind}: ok" for app in ("services", "celery", "web") for kind in ("database", "broker")),
        "web→8001: ok",
    ]
    assert summary(diagnosis) == "the doctor finds nothing wrong"


def test_a_root_is_written_with_cause_evidence_and_remedy() -> None:
    """The whole of it, as people read it: cause, the very lines, what to do, and the hop that fails."""
    sample = Sample()
    sample.tell(BACK, WG_FORWARD_PORTS="3306:tcp:10.101.0.77 6379:tcp:10.101.0.4 8001:tcp:10.101.0.5")
    for part in forward_rules(3306, "10.101.0.2"):
        sample.change(BACK, "rules", part, part.replace("10.101.0.2", "10.101.0.77"))
    sample.fail("web", "database", "connect")
    text = prescription(sample.diagnosis)
    assert text.startswith(
        "faulty: forward-rule-wrong-destination\n"
        "\n"
        "forward-rule-wrong-destination, wireguard-services\n"
        "  cause     wireguard-services forwards port 3306 to 10.101.0.77:3306, and mariadb is not there\n"
        "  evidence  wireguard-services: [62:3720] nat PREROUTING -i wg0 -p tcp -m tcp --dport 3306 "
        "-j DNAT --to-destination 10.101.0.77:3306\n"
        "            mariadb: 10.101.0.2, port 3306\n"
        "  remedy    see that WG_FORWARD_PORTS of wireguard-services contains 3306:tcp:10.101.0.2, "
        "then: docker compose up -d --force-recreate wireguard-services\n"
        "\n"
    )
    assert "web→database:\n  ok    application and its network namespace\n" in text
    assert "  FAILS DNAT  wireguard-services forwards port 3306" in text
    assert "  ?     backend  not reached\n" in text
    assert "web→broker: ok\n" in text
    assert summary(sample.diagnosis).startswith("forward-rule-wrong-destination: wireguard-services forwards")


def test_a_remedy_is_told_in_the_deployments_own_words() -> None:
    """Where a setting has another name there, it stands below the remedy; of the node that this is about alone."""
    sample = Sample()
    paths.a_dnat_rule_was_deleted(sample)
    sample.pieces[BACK]["words"] = json.dumps({"WG_FORWARD_PORTS": "PostUp in /etc/wg.conf", "WG_MTU": "MTU"})
    sample.pieces[FRONT]["words"] = json.dumps({"WG_FORWARD_PORTS": "another"})
    (finding,) = sample.diagnosis.findings
    assert "WG_FORWARD_PORTS" in finding.remedy
    assert finding.words == (f"WG_FORWARD_PORTS of {BACK} is PostUp in /etc/wg.conf",)
    lines = prescription(sample.diagnosis).splitlines()
    remedy = next(number for number, line in enumerate(lines) if line.startswith("  remedy "))
    assert lines[remedy + 1] == f"  where     WG_FORWARD_PORTS of {BACK} is PostUp in /etc/wg.conf"


def test_a_remedy_says_which_files_compose_is_to_be_told_of() -> None:
    """As the container's own labels have it; whoever types it stands anywhere."""
    sample = Sample()
    paths.a_dnat_rule_was_deleted(sample)
    sample.pieces[BACK]["compose"] = "docker compose -p site -f /srv/site/compose.yml"
    (finding,) = sample.diagnosis.findings
    assert "docker compose up" in finding.remedy
    assert finding.words == ("docker compose is docker compose -p site -f /srv/site/compose.yml",)


def test_files_that_differ_are_told_apart() -> None:
    """Each end may have been brought up from files of its own; who is not there is brought up as all others are."""
    sample = Sample()
    remedy = f"docker compose up -d {BACK} {FRONT}"
    for service in (BACK, FRONT):
        sample.pieces[service]["compose"] = f"docker compose -f /srv/{service}.yml"
    nodes = Facts(sample.snapshot()).nodes
    assert own_words(nodes, BACK, remedy) == (
        f"docker compose of {FRONT} is docker compose -f /srv/{FRONT}.yml",
        f"docker compose of {BACK} is docker compose -f /srv/{BACK}.yml",
    )
    assert own_words(nodes, "mariadb", "docker compose up -d mariadb") == ()
    del sample.pieces[FRONT]["compose"]
    nodes = Facts(sample.snapshot()).nodes
    assert own_words(nodes, "mariadb", "docker compose up -d mariadb") == (
        f"docker compose is docker compose -f /srv/{BACK}.yml",
    )
    assert own_words(nodes, "mariadb", "docker restart mariadb") == ()


@pytest.mark.parametrize(
    ("labels", "command"),
    [
        ({}, ""),
        ({"config_files": "-"}, ""),
        ({"config_files": "/srv/site/compose.yml"}, "docker compose -p site -f /srv/site/compose.yml"),
        (
            {"config_files": "/srv/a b.yml,/srv/more/c.yml", "working_dir": "/srv"},
            "docker compose -p site -f '/srv/a b.yml' -f /srv/more/c.yml",
        ),
        (
            {"config_files": "/srv/a.yml", "working_dir": "/opt", "environment_file": "/srv/.env.prod"},
            "docker compose -p site --project-directory /opt -f /srv/a.yml --env-file /srv/.env.prod",
        ),
    ],
    ids=["without files", "from standard input", "one file", "two files", "elsewhere, with an environment file"],
)
def test_composes_labels_say_how_it_is_called(labels: dict[str, str], command: str) -> None:
    """As `docker compose` of release 2 writes them."""
    prefix = "com.docker.compose.project"
    assert commands.compose({prefix: "site"} | {f"{prefix}.{name}": value for name, value in labels.items()}) == command


@pytest.mark.parametrize("words", ["[]", "{", "3"])
def test_words_that_cannot_be_read_hide_nothing(words: str) -> None:
    """A bundle that is damaged there says the same as one without."""
    sample = Sample()
    paths.a_dnat_rule_was_deleted(sample)
    whole = sample.diagnosis
    sample.pieces[BACK]["words"] = words
    assert sample.diagnosis == whole


def test_roots_come_before_what_follows() -> None:
    """Consequences are a list of their own after all roots."""
    sample = Sample()
    paths.a_forward_is_written_otherwise(sample)
    text = prescription(sample.diagnosis)
    assert text.startswith("faulty: forward-setting-malformed\n\nforward-setting-malformed, wireguard-services\n")
    before, _, after = text.partition("what follows from it:\n")
    assert "  container-down (wireguard-services): " in after
    assert "container-down" not in before


def test_what_could_not_be_seen_is_listed() -> None:
    """Unknown is neither health nor a fault, and says why."""
    sample = Sample()
    sample.lose(REDIS, "sockets", "timed out after 5 s")
    text = prescription(sample.diagnosis)
    assert text.startswith("unknown: not everything could be seen\n")
    line = "sockets of redis could not be seen: timed out after 5 s"
    assert f"what could not be seen:\n  {line}\n" in text
    assert summary(sample.diagnosis) == f"the doctor could not observe: {line}"


def test_a_warning_is_one() -> None:
    """A deployment that works is healthy with its warnings, which are marked."""
    sample = Sample()
    tunnel.nobody_keeps_the_way_open(sample)
    text = prescription(sample.diagnosis)
    assert text.startswith(
        "healthy, with warnings: keepalive-missing\n\nkeepalive-missing, wireguard-web (a warning)\n"
    )


def test_a_configuration_says_that_nothing_was_tried() -> None:
    """Nobody takes a look at files for a look at what runs."""
    sample = Sample()
    for container in sample.containers.values():
        container["status"] = "configured"

    text = prescription(judge(sample.snapshot(static=True)))
    assert text == "healthy\n\nthis is the configuration alone: nothing of it was tried\n"


def test_every_remedy_is_something_to_do() -> None:
    """All cases: each root has a cause, evidence and a remedy on lines of their own, and no placeholder is left."""
    for case in (*tunnel.cases.broken, *paths.cases.broken):
        sample = Sample()
        case.change(sample)
        diagnosis = sample.diagnosis
        text = prescription(diagnosis)
        roots = [finding for finding in diagnosis.findings if finding.root]
        assert (
            text.count("\n  cause     ") == text.count("\n  remedy    ") == text.count("\n  evidence  ") == len(roots)
        )
        assert f"{roots[0].rule}, {roots[0].node}" in text.splitlines()[2]
        assert "None" not in "".join(finding.cause + finding.remedy for finding in diagnosis.findings)
