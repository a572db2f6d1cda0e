"""Test the `replace` method of jobs, which is faster than `dataclasses.replace`."""

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.domain.jobs.deletion import Deletion
from shared.domain.jobs.durable_job import DurableJob
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.replace_fields import replace
from shared.domain.plans.remediation import EnvironmentJob
from tests.unit.flow_rows import FLOW_JOB

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def test_replace_changes_only_the_named_fields() -> None:
    before = dataclasses.replace(FLOW_JOB)

    changed = replace(FLOW_JOB, next_check_at=NOW, is_woken=True, notes=("a note",))

    expected = dataclasses.replace(FLOW_JOB, next_check_at=NOW, is_woken=True, notes=("a note",))
    assert changed == expected
    assert changed != before == FLOW_JOB


@pytest.mark.parametrize("kind", [FlowJob, EnvironmentJob, Deletion])
def test_every_job_class_uses_the_same_replace(kind: type[DurableJob[Any]]) -> None:
    assert kind.__replace__ is DurableJob.__replace__


def test_replace_rejects_an_unknown_field() -> None:
    with pytest.raises(TypeError, match=r"FlowJob has no fields \['colour'\]"):
        replace(FLOW_JOB, colour="red")  # type: ignore[call-arg]
