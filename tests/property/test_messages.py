import json
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.adapters.channels.event import build_cloud_event
from shared.adapters.channels.log import LogNotificationChannel
from shared.adapters.channels.teams import build_card
from shared.domain.plans.notification import Notification
from shared.domain.plans.notification_text import (
    build_digest,
    select_first_sentences,
    shorten_action,
)
from shared.domain.plans.pending_actions import PendingAction, PendingActionKind

SIGNATURE = "Canary0Canary1Canary2Canary3Canary4Canary50"
URL = (
    f"https://prod-65.westus.logic.azure.com:443/workflows/{'0a1b' * 8}/triggers/manual/paths"
    f"/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={SIGNATURE}"
)
WRITINGS: tuple[Callable[[str], str], ...] = (
    lambda url: url,
    json.dumps,
    lambda url: quote(url, safe=""),
    lambda url: quote(quote(url, safe=""), safe=""),
    lambda url: url.rpartition("?")[2],
)
#: Characters that are long in JSON, and what looks like an end of a sentence.
LONG = st.text('\N{GRINNING FACE}\x01"é. A', min_size=300, max_size=600)
TEXTS = st.one_of(
    st.text(max_size=80),
    LONG,
    st.tuples(st.text(max_size=250), st.sampled_from(WRITINGS), st.text(max_size=20)).map(
        lambda parts: f"{parts[0]} {parts[1](URL)} {parts[2]}"
    ),
)


@st.composite
def draw_actions(draw: st.DrawFn) -> PendingAction:
    flows = draw(st.lists(TEXTS, max_size=7))
    return PendingAction(
        kind=draw(st.sampled_from(PendingActionKind)),
        reason_code=draw(st.one_of(st.just("owner_unavailable"), TEXTS)),
        count=draw(st.integers(len(flows), 2_000)),
        environment_id="e443df78-9558-467f-9ba9-1faf7a024204",
        environment_name=draw(TEXTS),
        remediation_id="5b283e8c-3aaf-5438-a43a-12c2a65fd071",
        flows=tuple(flows),
        message=draw(TEXTS),
        fix=draw(TEXTS),
        next_command="cmkflow retry 5b283e8c-3aaf-5438-a43a-12c2a65fd071",
        expires_at=draw(st.sampled_from([None, datetime(2026, 1, 8, tzinfo=UTC)])),
    )


#: The longest of all.
WORST = PendingAction(
    kind=PendingActionKind.FLOWS_BLOCKED,
    reason_code="\N{GRINNING FACE}" * 900,
    count=200,
    environment_name="\N{GRINNING FACE}" * 900,
    remediation_id="5b283e8c-3aaf-5438-a43a-12c2a65fd071",
    flows=("\N{GRINNING FACE}" * 900,) * 5,
    message="\N{GRINNING FACE}" * 900,
    fix="\N{GRINNING FACE}" * 900,
    next_command="cmkflow retry 5b283e8c-3aaf-5438-a43a-12c2a65fd071",
)


@example([WORST])
@example([WORST, WORST])
@given(st.lists(draw_actions(), min_size=1, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_every_notification_is_small_and_has_no_signature(
    caplog: pytest.LogCaptureFixture, pending: list[PendingAction]
) -> None:
    """Teams accepts at most 28 KB, and a webhook 20 KB."""
    caplog.clear()
    caplog.set_level(logging.WARNING)
    action = pending[0] if len(pending) == 1 else build_digest(pending)
    notification = Notification(
        id="1",
        correlation_id=action.id,
        pending_action=shorten_action(action),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        link="https://app.example/api/dashboard",
        link_title="Open the plan",
    )
    await LogNotificationChannel().send(notification)

    content = build_card(notification)
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": content}
    teams = json.dumps({"type": "message", "attachments": [attachment]})
    event = json.dumps(build_cloud_event(notification))
    assert len(teams) < 28 * 1024
    assert len(event) < 20 * 1024
    for text in (teams, event, caplog.text):
        assert SIGNATURE not in text.replace("\\u200b", "")
        assert "Canary0" not in text
    (button,) = content["actions"]
    assert button["type"] == "Action.OpenUrl"
    assert button["title"].startswith("Open ")


@given(st.lists(st.from_regex(r"[A-Z][a-z]{0,9}\.", fullmatch=True), min_size=1, max_size=9))
def test_first_sentence_of_a_text_is_complete(sentences: list[str]) -> None:
    """A full stop inside a name does not end the sentence."""
    text = " ".join(sentences)

    assert select_first_sentences(text, 0, 1_000) == sentences[0]
    assert select_first_sentences(text, len(text), 1_000) == text
    assert select_first_sentences(f"The owner of {text} has left. Why.", 0, 1_000, [text]) == (
        f"The owner of {text} has left."
    )


def test_shortened_text_ends_with_an_ellipsis() -> None:
    cut = select_first_sentences("word " * 100, 0, 50)

    assert len(cut) == 50
    assert re.search("…$", cut)
