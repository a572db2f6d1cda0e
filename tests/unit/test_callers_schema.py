"""docs/callers.schema.json equals the schema that the API accepts."""

import json

from tests.callers_schema import FILE, build_schema


def test_the_published_schema_is_the_one_of_the_api() -> None:
    """If this fails, run `python -m tests.callers_schema`, which writes the file."""
    assert json.loads(FILE.read_text()) == build_schema()
