"""The data model that the actor tells: a JSON schema of its own keywords.

Further keywords, those of the cameras among them, pass without being looked at.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": {"type": "string"}}


def schema() -> Schema:
    """Return the schema of all keywords."""
    fault = _one_of(_TEXTS, _TEXT, _fault())
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "text": _TEXT,
            "schema": _TEXT,
            "version": _TEXT,
            "help": _one_of(_TEXTS, _TEXT),
            "error": fault,
            "exception": fault,
            "exception_info": fault,
            "yourUserID": {"type": "integer"},
            "UserInfo": {"type": "array", "items": [{"type": "integer"}, _TEXT]},
            "num_users": {"type": "integer"},
            "command_model": _one_of({"type": "array"}, {"type": "object"}),
        },
        "additionalProperties": True,
    }


def keyword_schema(keyword: str) -> Schema | None:
    """Return the schema of one keyword, ``None`` when it is none of ours."""
    found: Schema | None = schema()["properties"].get(keyword)
    return found


def _one_of(*schemas: Schema) -> Schema:
    return {"oneOf": list(schemas)}


def _fault() -> Schema:
    """Return the schema of an error with its place in a program."""
    null = {"type": "null"}
    return {
        "type": "object",
        "properties": {
            "module": _TEXT,
            "type": _TEXT,
            "message": _TEXT,
            "filename": _one_of(_TEXT, null),
            "lineno": _one_of({"type": "integer"}, null),
            "traceback": _one_of(_TEXTS, _TEXT),
        },
    }
