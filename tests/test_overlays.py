"""What the engine is to do by itself is the same as what compose would be told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.originals import Original
from harness.overlays import Overlay, SecretFile, Variables, write

HASH = "com.docker.compose.config-hash"
MOUNTED = {"Type": "bind", "Source": "/secrets/web.key", "Target": "/run/secrets/wg_private_key", "ReadOnly": True}
USED = {"secrets": [{"source": "web_private_key", "target": "wg_private_key"}]}


@pytest.fixture(name="web")
def _web() -> Original:
    body = {
        "Env": ["A=1", "B=2"],
        "Labels": {HASH: "4f2a", "kept": "yes"},
        "HostConfig": {"NetworkMode": "site", "Mounts": [MOUNTED]},
    }
    return Original(id="4f2a", name="web", service="web", body=body)


def test_a_service_that_is_not_named_stays_as_it_is(web: Original) -> None:
    """To the hash, by which compose goes on taking it for what the files say."""
    assert Variables({"celery": {"A": "3"}}).laid_over(web, {}) is web
    assert SecretFile("redis_password", "/other").laid_over(web, USED) is web


def test_variables_are_set_added_and_taken_away(web: Original) -> None:
    """Each by its whole name, and only the hash is another with them."""
    changed = Variables({"web": {"A": None, "B": "3=4", "AB": ""}}).laid_over(web, {})
    assert sorted(changed.body["Env"]) == ["AB=", "B=3=4"]
    assert changed.body["Labels"].pop(HASH) not in {"", "4f2a"}
    assert changed.body["Labels"] == {"kept": "yes"}
    assert web.body["Env"] == ["A=1", "B=2"]


@pytest.mark.parametrize("target", ["wg_private_key", "/run/secrets/wg_private_key"])
def test_a_secret_has_another_file(web: Original, target: str) -> None:
    """Where its target says that it is mounted, relative or absolute; nothing else of the mount changes."""
    used = {"secrets": [{"source": "web_private_key", "target": target}]}
    changed = SecretFile("web_private_key", "/other.key").laid_over(web, used)
    assert changed is not None
    assert changed.body["HostConfig"]["Mounts"] == [{**MOUNTED, "Source": "/other.key"}]
    assert changed.body["Labels"][HASH] != "4f2a"


@pytest.mark.parametrize("mounts", [None, [{**MOUNTED, "Target": "/elsewhere"}]])
def test_what_is_not_mounted_where_compose_says_is_left_to_compose(web: Original, mounts: Any) -> None:
    """Other releases may hand secrets over in another way."""
    other = replace(web, body={**web.body, "HostConfig": {"NetworkMode": "site", "Mounts": mounts}})
    assert SecretFile("web_private_key", "/other.key").laid_over(other, USED) is None


def test_overlays_do_not_overwrite_each_other(tmp_path: Any) -> None:
    """Several are laid over a deployment at once."""
    wanted: list[Overlay] = [{"services": {}}, "services: {}\n", Variables({"web": {}})]
    files = [write(overlay, tmp_path) for overlay in wanted]
    assert [file.name for file in files] == ["overlay-0.json", "overlay-1.yml", "overlay-2.yml"]
    assert files[2].read_text(encoding="utf-8") == "services: {web: {environment: {}}}\n"
