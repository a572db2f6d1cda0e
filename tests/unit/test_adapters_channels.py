import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.core.messaging import CloudEvent
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from shared.adapters.channels import event_grid, teams
from shared.adapters.channels.teams import TeamsWorkflow
from shared.adapters.channels.webhook import SignedWebhook
from shared.adapters.http.client import HttpClient, HttpService
from shared.domain.plans.notification import Notification
from shared.domain.plans.pending_actions import PendingAction, PendingActionKind
from shared.errors import CmkflowError
from tests.unit.adapter_wire import NumberedCredential, Scripted, ScriptedTransport

KEY = b"a secret of 32 bytes, as it says"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
TOPIC = "https://told.westeurope-1.eventgrid.azure.net/api/events"
ADDRESS = "https://prod-1.westeurope.logic.azure.com/workflows/1/triggers/manual/paths/invoke"
SIGNED = f"{ADDRESS}?api-version=2016-06-01&sig=canary-canary-canary-canary-canary-canary-1"
NOTIFICATION = Notification(
    id="cause-20260101T000000-0",
    correlation_id="cause",
    pending_action=PendingAction(
        kind=PendingActionKind.FLOWS_BLOCKED,
        reason_code="owner_unavailable",
        count=2,
        environment_id="env",
        environment_name="Finance “north”",
        remediation_id="r-1",
        flows=("Take orders", "Take returns"),
        message="Its owner has left.",
        fix="Name another owner.",
        next_command="cmkflow retry r-1",
    ),
    created_at=datetime(2026, 3, 2, 12, tzinfo=UTC),
    link="https://app.example/api/dashboard/remediations/r-1/plan",
    link_title="Open the plan",
)


def build_sender(*answers: Scripted | Exception) -> tuple[HttpClient, ScriptedTransport]:
    transport = ScriptedTransport(*answers)
    return HttpClient(transport), transport


def build_open_service(name: str) -> HttpService:
    return HttpService(name=name, scope="", credential=None)


async def test_webhook_signature_is_accepted_by_the_standard_webhooks_library() -> None:
    http, network = build_sender(Scripted(status=204))
    channel = SignedWebhook(http, build_open_service("Webhook"), "https://hook.example/in", KEY)

    await channel.send(
        replace(NOTIFICATION, created_at=datetime.now(UTC))
    )  # the library rejects old time stamps

    (request,) = network.requests
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = request.content
    event: Any = Webhook(SECRET).verify(body, headers)
    assert (
        event["data"]["title"] == "2 flows blocked in Finance “north”: the owner is not available"
    )
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"Take", b"Give"), headers)


async def test_a_topic_gets_a_cloud_event() -> None:
    credential = NumberedCredential()
    http, network = build_sender(Scripted())
    service = HttpService(name="Event Grid", scope=event_grid.SCOPE, credential=credential)

    await event_grid.EventGridTopic(http, service, TOPIC).send(NOTIFICATION)

    (request,) = network.requests
    assert request.url == f"{TOPIC}?api-version=2018-01-01"
    assert request.headers["Content-Type"].startswith("application/cloudevents-batch+json")
    assert credential.asked == ["https://eventgrid.azure.net/.default"]
    (document,) = json.loads(request.content)
    event: CloudEvent[Any] = CloudEvent.from_dict(document)
    assert event.specversion == "1.0"
    assert (event.id, event.type) == (NOTIFICATION.id, "CmkFlow.ActionRequired.FlowsBlocked")
    assert event.time == NOTIFICATION.created_at
    assert event.data is not None
    assert event.data["correlationId"] == "cause"
    assert event.data["link"] == NOTIFICATION.link


@pytest.mark.parametrize("link", ["", "http://127.0.0.1:7071/x", NOTIFICATION.link])
async def test_teams_gets_a_card(link: str) -> None:
    http, network = build_sender(Scripted(status=202))
    channel = TeamsWorkflow(http, build_open_service("Teams webhook"), SIGNED)

    await channel.send(replace(NOTIFICATION, link=link))

    (attachment,) = json.loads(network.requests[0].content)["attachments"]
    card = attachment["content"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    lines = ["".join(run["text"] for run in one["inlines"]) for one in card["body"]]
    assert lines[0] == NOTIFICATION.pending_action.title
    assert "What to do: Name another owner." in lines
    assert not any(line.startswith("Expires") for line in lines)
    assert [action["url"] for action in card.get("actions", ())] == (
        [link] if link == NOTIFICATION.link else []
    )


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_named_flows_are_links_to_their_pages_in_a_card(scheme: str) -> None:
    links = tuple(f"{scheme}://app.example/{one}" for one in "ab")
    action = replace(NOTIFICATION.pending_action, count=4)

    content = teams.build_card(replace(NOTIFICATION, pending_action=action, flow_links=links))

    runs = content["body"][1]["inlines"]
    assert "".join(run["text"] for run in runs) == "Flows: Take orders, Take returns and 2 more"
    opened = {run["text"]: run["selectAction"]["url"] for run in runs if "selectAction" in run}
    names = NOTIFICATION.pending_action.flows
    assert opened == (dict(zip(names, links, strict=True)) if scheme == "https" else {})


def test_no_name_is_a_link_in_a_card() -> None:
    name = "[Approve now](https://evil.example) **at once**"
    waiting = replace(
        NOTIFICATION.pending_action, environment_name=name, flows=(name,), message=name
    )

    content = teams.build_card(replace(NOTIFICATION, pending_action=waiting))

    kinds = {(one["type"], run["type"]) for one in content["body"] for run in one["inlines"]}
    assert kinds == {("RichTextBlock", "TextRun")}
    shown = json.dumps(content, ensure_ascii=False).replace("\N{ZERO WIDTH SPACE}", "")
    assert shown.count(name) == 3  # unchanged


@pytest.mark.parametrize(
    "answer",
    [
        Scripted(status=401, body={"error": {"message": SIGNED}}),
        Scripted(status=503, body=SIGNED.encode()),
        Scripted(status=404),
        Scripted(status=302, headers={"Location": SIGNED}),
    ],
)
async def test_error_for_a_rejected_post_does_not_contain_the_webhook_address(
    answer: Scripted,
) -> None:
    """The address of a Teams webhook is a trigger URL, with which anybody can post."""
    http, _ = build_sender(answer, answer)
    channel = TeamsWorkflow(http, build_open_service("Teams webhook"), SIGNED)

    with pytest.raises(CmkflowError) as caught:
        await channel.send(NOTIFICATION)

    assert "canary" not in str(caught.value)
