import json
from dataclasses import fields
from typing import get_type_hints

import pytest

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.grants import Grants
from shared.domain.jobs.replace_fields import replace
from shared.state.flat_rows import STORED_NAMES
from shared.state.rows import get_row_adapter
from tests.unit.flow_rows import FLOW_JOB


@pytest.mark.parametrize("kind", STORED_NAMES)
def test_each_field_has_a_stored_name_of_its_own(kind: type) -> None:
    hints, objects = get_type_hints(kind), STORED_NAMES[kind]
    stored = [one.name for one in fields(kind) if one.name not in objects]
    for name, names in objects.items():
        parts = [one.name for one in fields(hints[name])]
        assert names.keys() <= set(parts)
        stored += [names.get(part, part) for part in parts]

    assert len(set(stored)) == len(stored)


def test_a_value_object_is_stored_flat_and_read_again() -> None:
    job = replace(FLOW_JOB, grants=Grants(active=("a",), past=("a", "b")))
    rows = get_row_adapter(FlowJob)

    text = rows.dump_json(job).decode()

    row = json.loads(text)
    assert (row["active_grants"], row["past_grants"], row["returned_at"]) == (
        ["a"],
        ["a", "b"],
        None,
    )
    assert "grants" not in row
    assert rows.validate_json(text) == job


def test_missing_fields_of_a_value_object_get_their_defaults() -> None:
    rows = get_row_adapter(FlowJob)
    row = json.loads(rows.dump_json(FLOW_JOB))
    del row["returned"], row["returned_at"]

    assert rows.validate_json(json.dumps(row)) == FLOW_JOB
