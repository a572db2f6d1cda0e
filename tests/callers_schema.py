"""Generate docs/callers.schema.json, the JSON schema of a file with declared callers.

`python -m tests.callers_schema` writes it.
"""

import json
import re
from pathlib import Path
from typing import Any

from functions.declared_caller_models import DeclareCallersRequest
from functions.openapi import SCHEMES, build_openapi_document

FILE = Path(__file__).parents[1] / "docs" / "callers.schema.json"
_COMPONENTS = "#/components/schemas/"
_REFERENCE = re.compile(r"#/\$defs/(\w+)")


def build_schema() -> dict[str, Any]:
    """Return the schema of a file with declared callers, which is that of the API's request
    body.
    """
    schemas = build_openapi_document(frozenset(SCHEMES))["components"]["schemas"]
    parts: dict[str, Any] = {}
    waiting = [DeclareCallersRequest.__name__]
    while waiting:
        name = waiting.pop()
        text = json.dumps(schemas[name]).replace(_COMPONENTS, "#/$defs/")
        parts[name] = json.loads(text)
        waiting += {*_REFERENCE.findall(text)} - {*parts, *waiting}
    whole = parts.pop(DeclareCallersRequest.__name__)
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, **whole, "$defs": dict(sorted(parts.items()))}


def write_schema() -> None:
    FILE.write_text(json.dumps(build_schema(), indent=2) + "\n")


if __name__ == "__main__":
    write_schema()
