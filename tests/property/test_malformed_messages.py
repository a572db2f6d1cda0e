import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from functions import queue_triggers
from shared.bootstrap import provide
from shared.queues import POISON
from shared.use_cases.react_to_key_event import NEW_VERSION
from shared.use_cases.react_to_policy_event import LINKED
from shared.use_cases.send_due_and_overdue_messages import send_due_and_overdue_messages
from tests.functional.scenarios.app_calls import Trigger, build_message
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.property.examples import count_examples

#: Messages of one example.
AT_ONCE = 10

TRIGGERS: tuple[Trigger, ...] = (
    queue_triggers.on_key_event,
    queue_triggers.on_policy_event,
    queue_triggers.run_environment_job,
    queue_triggers.run_flow_job,
)


def _list_valid_messages() -> Iterator[Any]:
    """Yield valid messages of the app's queues, and the recorded events of `FLOW_CORPUS`."""
    data = {"environmentId": "e", "policyId": "p", "linkStatus": "Linked", "linkedSince": "now"}
    key = {"VaultName": "vault", "ObjectName": "key"}
    yield {"specversion": "1.0", "id": "1", "type": LINKED, "source": "/", "data": data}
    yield [{"id": "2", "eventType": NEW_VERSION, "topic": "/", "subject": "key", "data": key}]
    yield {"environment": "e", "job": "j"}
    yield {"remediation": "r", "job": "j"}
    folder = Path(os.environ.get("FLOW_CORPUS", "no corpus")) / "events"
    for path in sorted(folder.glob("*.json")):
        yield json.loads(path.read_text())


REAL = tuple(_list_valid_messages())
#: Half a character, control characters, what no key may hold: all of it can stand in JSON.
texts = st.text(st.characters(categories=None), max_size=12) | st.sampled_from(
    ["a/b", "a\\b", "#", "?", "\ud800", "\x00", "..", "x" * 2000, "Linked", LINKED, NEW_VERSION]
)
#: AMQP carries whole characters only.
ids = st.text(max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def draw_bodies(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(["bytes", "json", "mutated", "mutated", "mutated"]))
    if kind == "bytes":
        return draw(st.binary(max_size=60))
    if kind == "json":
        return json.dumps(draw(values)).encode()
    document = draw(st.sampled_from(REAL))
    for _ in range(draw(st.integers(1, 3))):
        document = _mutate(draw, document)
    body = json.dumps(document).encode()
    return body[: draw(st.integers(0, len(body)))] if draw(st.integers(0, 9)) == 0 else body


def _mutate(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        name = draw(st.sampled_from(sorted(value)))
        rest = {key: one for key, one in value.items() if key != name}
        how = draw(st.sampled_from(["deeper", "deeper", "drop", "rename"]))
        if how == "drop":
            return rest
        new = draw(texts) if how == "rename" else name
        return {**rest, new: _mutate(draw, value[name])}
    if isinstance(value, list) and value and draw(st.integers(0, 5)):
        return [*value[:-1], _mutate(draw, value[-1])]
    return draw(values)


@settings(max_examples=count_examples(300))
@given(
    st.lists(
        st.tuples(st.sampled_from(TRIGGERS), draw_bodies(), ids), min_size=AT_ONCE, max_size=AT_ONCE
    )
)
def test_malformed_message_is_ignored_or_stored(messages: list[tuple[Trigger, bytes, str]]) -> None:
    async def deliver() -> None:
        scenario = Scenario()
        provide(scenario.services)
        for trigger, body, message_id in messages:
            await trigger(build_message(body, message_id=message_id))
        await send_due_and_overdue_messages(scenario.services)

        assert await scenario.services.tables.remediations.read_all() == []
        assert await scenario.services.tables.environment_jobs.read_all() == []
        assert scenario.fakes.notices.told == []
        for parked in scenario.fakes.messages.list_waiting_messages(POISON):
            assert parked.body["reason"]

    asyncio.run(deliver())
