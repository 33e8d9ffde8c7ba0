"""What is wrong with a document that could not be read, in words for people: Python's own are for whoever wrote it."""

from __future__ import annotations

import json

import yaml


def wrong_with(error: Exception) -> str:
    """What a document lacks, or is not, by the error that taking it apart has raised."""
    match error:
        case KeyError():
            return f"it lacks {error.args[0]}"
        case UnicodeDecodeError():
            return "it is no UTF-8 text"
        case json.JSONDecodeError():
            return "it is no JSON"
        case yaml.YAMLError():
            mark = getattr(error, "problem_mark", None)
            return f"it is no YAML at line {mark.line + 1}" if mark else "it is no YAML"
        case TypeError() | AttributeError():
            return "it is empty, or of another form"
        case _:
            return " ".join(str(error).split())
