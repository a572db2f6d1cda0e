import re
from pathlib import Path

import pytest

from shared.domain.definitions.trigger_kinds import TriggerCategory, classify_trigger

_DOCUMENT = Path(__file__).parents[2] / "docs" / "trigger-categories.md"


@pytest.mark.parametrize(
    ("type_", "kind", "category"),
    [
        ("Request", "Http", TriggerCategory.HTTP),
        ("Request", "TeamsWebhook", TriggerCategory.TEAMS_WEBHOOK),
        ("Request", "PowerApp", TriggerCategory.POWER_APPS_V1),
        ("Request", "PowerAppV2", TriggerCategory.POWER_APPS_V2),
        ("Request", "Skills", TriggerCategory.COPILOT_SKILLS),
        ("Request", "VirtualAgent", TriggerCategory.VIRTUAL_AGENT),
        ("Request", "Button", TriggerCategory.BUTTON),
        ("Request", "ApiConnection", TriggerCategory.CONNECTOR_REQUEST),
        ("Request", None, TriggerCategory.HTTP),
        ("Request", "NobodyKnows", TriggerCategory.UNKNOWN),
        ("Recurrence", None, TriggerCategory.RECURRENCE),
        ("OpenApiConnection", None, TriggerCategory.CONNECTOR_POLLING),
        ("OpenApiConnectionWebhook", None, TriggerCategory.CONNECTOR_WEBHOOK),
        ("ApiConnectionNotification", None, TriggerCategory.CONNECTOR_WEBHOOK),
        ("ServiceProvider", None, TriggerCategory.SERVICE_PROVIDER),
        ("Telepathy", None, TriggerCategory.UNKNOWN),
    ],
)
def test_kind_and_type_decide_without_a_connector(
    type_: str, kind: str | None, category: TriggerCategory
) -> None:
    assert classify_trigger(type=type_, kind=kind) is category


@pytest.mark.parametrize(
    ("type_", "kind", "operation", "category"),
    [
        ("Request", "TeamsWebhook", "TeamsIncomingWebhookTrigger", TriggerCategory.TEAMS_WEBHOOK),
        ("Request", "ApiConnection", "OnMessageSelectedV2", TriggerCategory.TEAMS_MESSAGE_ACTION),
        ("Request", "ApiConnection", "OnComposeMessageV2", TriggerCategory.TEAMS_MESSAGE_ACTION),
        (
            "OpenApiConnectionWebhook",
            None,
            "TeamsCardTrigger",
            TriggerCategory.TEAMS_MESSAGE_ACTION,
        ),
        ("OpenApiConnectionWebhook", None, "WebhookKeywordTrigger", TriggerCategory.TEAMS_EVENT),
        (
            "OpenApiConnectionWebhook",
            None,
            "WebhookAtMentionTriggerV2",
            TriggerCategory.TEAMS_EVENT,
        ),
        ("OpenApiConnectionWebhook", None, "SomethingNewTrigger", TriggerCategory.TEAMS_EVENT),
        ("OpenApiConnectionWebhook", None, "RecordingTrigger", TriggerCategory.TEAMS_POLLING),
        ("OpenApiConnection", None, "OnNewChannelMessageV3", TriggerCategory.TEAMS_POLLING),
        ("Request", "Button", None, TriggerCategory.BUTTON),
    ],
)
def test_the_operation_decides_for_teams(
    type_: str, kind: str | None, operation: str | None, category: TriggerCategory
) -> None:
    found = classify_trigger(
        type=type_, kind=kind, connector="shared_teams", operation_id=operation
    )

    assert found is category


def test_equal_operation_of_another_connector_is_not_a_teams_trigger() -> None:
    """The operation id alone does not make a trigger one of Teams."""
    found = classify_trigger(
        type="OpenApiConnection", connector="shared_other", operation_id="OnNewChannelMessage"
    )

    assert found is TriggerCategory.CONNECTOR_POLLING


@pytest.mark.parametrize("category", TriggerCategory)
def test_every_category_is_either_called_or_self_starting(category: TriggerCategory) -> None:
    """A flow without a trigger is neither."""
    assert not (category.is_called and category.is_self_starting)
    is_either = category.is_called or category.is_self_starting
    assert is_either == (category is not TriggerCategory.NONE)


def test_the_document_describes_every_category() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \|.*\| (called|self|–) \| (yes|no) \| [^|]+ \|$",
        _DOCUMENT.read_text(encoding="utf-8"),
        re.MULTILINE,
    )

    told = {name: (starts, url) for name, starts, url in rows}
    assert told == {
        one.value: (
            "called" if one.is_called else "self" if one.is_self_starting else "–",
            "yes" if one.has_callback_url else "no",
        )
        for one in TriggerCategory
    }
