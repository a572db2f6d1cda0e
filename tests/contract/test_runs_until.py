"""Runs up to a moment, over the wire: what an archive goes on by."""

from datetime import timedelta

import pytest

from tests.contract.adapter_world import adapters
from tests.contract.tenant_world import ENVIRONMENT, HTTP_FLOW


async def test_runs_up_to_a_moment_are_read_with_the_one_at_that_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The boundary belongs to the answer: other runs may have begun at the very same time."""
    async with adapters(monkeypatch) as app:
        since = app.world.tenant.clock.now() - timedelta(days=1)
        newest, middle, oldest = await app.flow_reports.runs(ENVIRONMENT, HTTP_FLOW, since=since)

        found = await app.flow_reports.runs(
            ENVIRONMENT, HTTP_FLOW, since=since, until=middle.started, limit=5
        )

    assert newest.started > middle.started
    assert found == [middle, oldest]
