"""What a deployment was made of, and what of that the files or images have changed since."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness import compose, images
from harness.engine import Engine
from harness.ownership import Run

_FILE = "made-of.json"  # in the run's folder of state
_TEMPLATE = "x-"  # what services are made from; what comes of it is in them (compose's extensions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is no longer as it was: `services` by name, with what of each; `others`, such as networks or secrets."""

    services: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()


def note(engine: Engine, run: Run, files: compose.ComposeProject, configuration: Mapping[str, Any]) -> None:
    """Write down what a run's deployment is made of."""
    made_of = {
        "fingerprint": fingerprint(engine, files),
        "configuration": configuration,
        "images": _images(engine, configuration),
    }
    (run.state / _FILE).write_text(json.dumps(made_of), encoding="utf-8")


def fingerprint(engine: Engine, files: compose.ComposeProject) -> str:
    """Files and images in a few letters: others where any of them has changed."""
    return compose.fingerprint(files, engine.image_ids({*images.chosen().values(), images.PROBE}))


def is_current(engine: Engine, run: Run, files: compose.ComposeProject) -> bool:
    """Whether no file, variable or image has changed since."""
    return bool(_noted(run).get("fingerprint") == fingerprint(engine, files))


def changes(engine: Engine, run: Run, configuration: Mapping[str, Any]) -> Changes:
    """What the changed files and images amount to; nothing where it is a comment, say."""
    noted = _noted(run)
    before = noted.get("configuration", {})
    others = tuple(
        key for key in _differing(before, configuration) if key != "services" and not key.startswith(_TEMPLATE)
    )
    if before.get("services", {}).keys() != configuration["services"].keys():
        others = ("services", *others)
    if others:
        return Changes(others=others)
    return Changes(services=dict(_changed_services(noted, configuration, _images(engine, configuration))))


def _changed_services(
    noted: Mapping[str, Any], configuration: Mapping[str, Any], present: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    changed = {name for name, identity in present.items() if noted["images"].get(name) != identity}
    for name, service in configuration["services"].items():
        differing = _differing(noted["configuration"]["services"][name], service)
        if service["image"] in changed:
            differing.append("what is in its image")
        if differing:
            yield name, ", ".join(differing)
    if images.PROBE in changed:
        for side in compose.PROBED:
            yield f"probe-{side}", "what is in its image"


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return sorted(key for key in {*before, *now} if before.get(key) != now.get(key))


def _images(engine: Engine, configuration: Mapping[str, Any]) -> dict[str, str]:
    return engine.image_ids({*(each["image"] for each in configuration["services"].values()), images.PROBE})


def _noted(run: Run) -> dict[str, Any]:
    try:
        noted: dict[str, Any] = json.loads((run.state / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # gone, or written only in part: nothing is known of it
        return {}
    return noted
