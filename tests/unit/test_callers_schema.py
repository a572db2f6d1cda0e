"""docs/callers.schema.json is what the API accepts."""

import json

from tests.callers_schema import FILE, build_schema


def test_the_published_schema_is_the_one_of_the_api() -> None:
    """`python -m tests.callers_schema` writes it."""
    assert json.loads(FILE.read_text()) == build_schema()
