from __future__ import annotations

from pathlib import Path

import pytest

from harness import rolemap
from harness.dialects import Dialect
from harness.errors import ConfigurationError, HarnessError
from harness.vocabulary import APP_SETTINGS, DATABASE_URL, GATEWAY_SETTINGS

from .conftest import ROOT

EXAMPLE = ROOT / "examples" / "warehouse" / "harness.toml"


def nothing(path: str) -> str:
    raise HarnessError(f"there is no {path}")


def test_what_a_setting_is_made_of_is_named() -> None:
    """Once each; what it is made of itself has its documented name, and a text without variables is nobody's."""
    template = "redis://:${CACHE_PASSWORD}@${CACHE}:6379/${CACHE}"
    dialect = Dialect(settings={"REDIS_URL": template, "DATABASE_NAME": "shop", "DATABASE_HOST": "${DATABASE_HOST}"})
    assert dialect.words({}) == {"REDIS_URL": "CACHE_PASSWORD and CACHE"}
    assert not Dialect().words({})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a map can be written."""
    return tmp_path / "map.toml"


def test_the_example_says_who_is_who_and_how_they_are_told() -> None:
    """Every part has its service there, and an application's own variables amount to the documented settings."""
    mapped = rolemap.read([str(EXAMPLE)])
    mapped.require({"vpn-shop", "vpn-depot", "shop", "stock", "ledger", "cache"})
    assert (mapped.service("mariadb"), mapped.role("ledger"), mapped.role("somebody")) == (
        "ledger",
        "mariadb",
        "somebody",
    )
    told = mapped.dialect("web").translate(
        {"LEDGER_HOST": "10.66.0.2", "CACHE_URL": "redis://10.66.0.2:6380/3"}, nothing
    )
    assert told["DATABASE_HOST"] == "10.66.0.2"
    assert told["REDIS_URL"] == "redis://10.66.0.2:6380/3"
    assert "DATABASE_USER" not in told, "what the container was not told is no setting"
    assert mapped.dialect("web").words({})["DATABASE_HOST"] == "LEDGER_HOST"
    assert mapped.dialect("wireguard-web").words({})["WG_PEER_ENDPOINT"] == "Endpoint in /etc/wireguard/wg0.conf"


def test_words_win_over_a_file_that_stands_before_them(file: Path) -> None:
    """The command line has the last word, as it is read."""
    file.write_text('[roles]\nweb = "front"\nredis = "cache"\n', encoding="utf-8")
    mapped = rolemap.read([str(file), "web=other"])
    assert (mapped.service("web"), mapped.service("redis"), mapped.service("mariadb")) == ("other", "cache", "mariadb")


def test_a_part_of_its_own_wins_over_all_applications(file: Path) -> None:
    """`[settings.services]` is of services alone; gateways have none of the applications' settings."""
    text = '[settings]\nDATABASE_HOST = "${A}"\nDATABASE_USER = "u"\n[settings.services]\nDATABASE_HOST = "${B}"\n'
    file.write_text(text, encoding="utf-8")
    mapped = rolemap.read([str(file)])
    assert mapped.dialect("web").settings == {"DATABASE_HOST": "${A}", "DATABASE_USER": "u"}
    assert mapped.dialect("services").settings == {"DATABASE_HOST": "${B}", "DATABASE_USER": "u"}
    assert mapped.dialect("wireguard-web").settings == {}


def test_every_documented_setting_may_be_named(file: Path) -> None:
    """A database's URL too; and of a backend whatever its image reads."""
    parts = {
        "settings": (*APP_SETTINGS, DATABASE_URL),
        "settings.wireguard-web": GATEWAY_SETTINGS,
        "settings.mariadb": ("MARIADB_PASSWORD_FILE",),
    }
    tables = [f"[{part}]\n" + "".join(f'{name} = "x"\n' for name in names) for part, names in parts.items()]
    file.write_text("".join(tables), encoding="utf-8")
    mapped = rolemap.read([str(file)])
    assert set(mapped.dialect("celery").settings) == {*APP_SETTINGS, DATABASE_URL}
    assert mapped.dialect("mariadb").settings == {"MARIADB_PASSWORD_FILE": "x"}


def test_a_dollar_without_a_brace_is_only_that() -> None:
    """A password may hold one; `$$` stays two."""
    dialect = Dialect(settings={"DATABASE_PASSWORD": "${A}$B", "OTHER": "$5"})
    told = dialect.translate({"A": "x$y", "B": "no"}, nothing)
    assert (told["DATABASE_PASSWORD"], told["OTHER"]) == ("x$y$B", "$5")


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("mysql://shop:s%40crt%2F@10.100.0.11:3307/app?ssl=1", ["10.100.0.11", "3307", "app", "shop", "s@crt/"]),
        ("mysql+pymysql://shop@db.example/app", ["db.example", None, "app", "shop", None]),
        ("mariadb://[fd00::2]:3306/app/", ["fd00::2", "3306", "app", None, None]),
        ("mysql2://10.100.0.11:33O6", ["10.100.0.11", "33O6", None, None, None]),
        ("postgres://shop:secret@10.100.0.11/app", [None] * 5),
        ("sqlite:///app.sqlite3", [None] * 5),
        ("mysql://[10.100.0.11/app", [None] * 5),
        ("10.100.0.11", [None] * 5),
    ],
)
def test_a_databases_url_says_several_settings_at_once(url: str, parts: list[str | None]) -> None:
    """Of MariaDB's and MySQL's alone; what is encoded is decoded, and a port stays as it is written."""
    told = Dialect().translate({"DATABASE_URL": url}, nothing)
    names = ("DATABASE_HOST", "DATABASE_PORT", "DATABASE_NAME", "DATABASE_USER", "DATABASE_PASSWORD")
    assert [told.get(name) for name in names] == parts
    assert told["DATABASE_URL"] == url


def test_what_a_container_is_told_by_itself_wins_over_a_part_of_its_url() -> None:
    """And is not said to be a part of it."""
    own = {"DATABASE_URL": "mysql://10.100.0.11/app", "DATABASE_NAME": "other"}
    assert Dialect().translate(own, nothing) == {**own, "DATABASE_HOST": "10.100.0.11"}
    assert Dialect().words(own) == {"DATABASE_HOST": "a part of DATABASE_URL"}


def test_a_url_may_have_another_name_and_be_one_applications_alone() -> None:
    """What all are told otherwise this one is told by its URL, where it has no such variable."""
    dialect = Dialect(settings={"DATABASE_HOST": "${LEDGER_HOST}", "DATABASE_URL": "${LEDGER_URL}"})
    environment = {"LEDGER_URL": "mysql://10.44.5.10/warehouse"}
    assert dialect.translate(environment, nothing)["DATABASE_HOST"] == "10.44.5.10"
    assert dialect.words(environment)["DATABASE_HOST"] == "a part of LEDGER_URL"
    assert dialect.words({"LEDGER_HOST": "10.44.5.10"})["DATABASE_HOST"] == "LEDGER_HOST"


def test_a_configuration_that_cannot_be_read_tells_nothing() -> None:
    """Then its settings are missing, which the doctor says."""
    assert Dialect(configuration="/etc/wireguard/wg0.conf").translate({"A": "1"}, nothing) == {"A": "1"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[roles", "it is not TOML"),
        ("[rolls]\n", "there is no table [rolls]"),
        ('[roles]\nfront = "x"\n', "[roles] names front, which is no part"),
        ("[roles]\nweb = 5\n", "web in [roles] is 5, and has to be a text"),
        ("roles = 5\n", "roles is no table"),
        ("settings = 5\n", "settings is no table"),
        ('[settings.front]\nA = "x"\n', "[settings.front] is of no part"),
        (
            '[settings]\nDATABASE_HSOT = "x"\n',
            "[settings] names DATABASE_HSOT, which is no setting; settings are DATABASE_",
        ),
        ('[settings.web]\nWG_MTU = "1"\n', "[settings.web] names WG_MTU, which is no setting"),
        ('[settings.wireguard-web]\nDATABASE_HOST = "x"\n', "[settings.wireguard-web] names DATABASE_HOST"),
        ('[wg-quick]\nweb = "x"\n', "[wg-quick] names web, which is no part"),
        ('[roles]\nweb = "x"\nredis = "x"\n', "the service x cannot play several parts: redis, web"),
        ('[roles]\nweb = "services"\n', "the service services cannot play several parts: services, web; name one for"),
        ('[roles]\nweb = ""\n', "it names no service for web; write web=SERVICE"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(file: Path, text: str, said: str) -> None:
    """One sentence, with the entry at fault."""
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        rolemap.read([str(file)])
    assert said in str(refused.value)


def test_what_is_wrong_with_a_word_is_named(tmp_path: Path) -> None:
    """A part that there is not, a file that there is not, and a part that nobody plays."""
    for words, said in (
        (["front=x"], "'front' is no part of the deployment"),
        (["web="], "--map web=: it names no service for web"),
        ([""], "--map names no file: is a variable empty?"),
        (["web=redis"], "the service redis cannot play several parts: redis, web; name one for redis"),
        ([str(tmp_path / "none")], "a map is a TOML file, or ROLE=SERVICE"),
    ):
        with pytest.raises(ConfigurationError) as refused:
            rolemap.read(words)
        assert said in str(refused.value)
    assert rolemap.read(["web=services", "services=api"]).service("web") == "services"
    assert rolemap.read(["web=celery"]).role("celery") == "web"
    with pytest.raises(ConfigurationError, match="nothing plays the part of wireguard-services"):
        rolemap.read([]).require({"web"})
    without_celery = {"wireguard-web", "wireguard-services", "web", "services", "mariadb", "redis"}
    rolemap.read([]).require(without_celery)
    with pytest.raises(ConfigurationError, match="celery: there is no service worker"):
        rolemap.read(["celery=worker"]).require(without_celery)
