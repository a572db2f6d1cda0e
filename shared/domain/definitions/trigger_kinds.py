"""Classify triggers into categories, which decide how their flows are migrated.

docs/trigger-categories.md describes the categories for people.
"""

from enum import StrEnum

_TEAMS_CONNECTOR = "shared_teams"


class TriggerCategory(StrEnum):
    """A category of triggers whose flows a remediation treats alike."""

    HTTP = "http"
    TEAMS_WEBHOOK = "teams_webhook"
    #: A message, the compose box or an adaptive card: Teams starts the flow for a user.
    TEAMS_MESSAGE_ACTION = "teams_message_action"
    #: Teams has a subscription: keyword, mention, new message, chat, reaction.
    TEAMS_EVENT = "teams_event"
    #: The flow service polls Teams, or Teams notifies it of recordings and transcripts.
    TEAMS_POLLING = "teams_polling"
    POWER_APPS_V1 = "power_apps_v1"
    POWER_APPS_V2 = "power_apps_v2"
    POWER_PAGES = "power_pages"
    COPILOT_SKILLS = "copilot_skills"
    #: Power Virtual Agents, and tools of Copilot Studio agents.
    VIRTUAL_AGENT = "virtual_agent"
    BUTTON = "button"
    #: A user selects the flow in another product, such as SharePoint *For a selected file*.
    CONNECTOR_REQUEST = "connector_request"
    RECURRENCE = "recurrence"
    CONNECTOR_POLLING = "connector_polling"
    CONNECTOR_WEBHOOK = "connector_webhook"
    #: Logic Apps only: polls or subscribes over plain HTTP.
    HTTP_POLLING = "http_polling"
    HTTP_WEBHOOK = "http_webhook"
    #: Logic Apps Standard only: a connector that runs inside the host.
    SERVICE_PROVIDER = "service_provider"
    #: Logic Apps only: batch receiver, API Management, Functions, agent conversations.
    LOGIC_APP_OTHER = "logic_app_other"
    #: A definition without a trigger.
    NONE = "none"
    UNKNOWN = "unknown"

    @property
    def has_callback_url(self) -> bool:
        """Return whether other systems call the flow by a URL, which `listCallbackUrl` returns.

        See platform.md#trigger-url-read.
        """
        return self in _WITH_CALLBACK_URL

    @property
    def is_self_starting(self) -> bool:
        """Return whether the flow starts, or may start, without a caller."""
        return self in _SELF_STARTING

    @property
    def replays_backlog(self) -> bool:
        """Return whether the flow, when turned on, may process the events that it missed while off.

        See platform.md#missed-events.
        """
        return self in _REPLAYS_BACKLOG

    @property
    def is_called(self) -> bool:
        """Return whether a person, an app, a system or a parent flow starts the flow."""
        return self in _CALLED

    @property
    def can_have_run_only_users(self) -> bool:
        """Return whether the flow can have run-only users, who run it without being owners.

        See platform.md#run-only-users.
        """
        return self in _RUN_BY_PEOPLE

    @property
    def is_teams(self) -> bool:
        """Return whether the trigger belongs to the Teams connector."""
        return self.value.startswith("teams_")


_WITH_CALLBACK_URL = frozenset({TriggerCategory.HTTP, TriggerCategory.TEAMS_WEBHOOK})
_SELF_STARTING = frozenset(
    {
        TriggerCategory.TEAMS_EVENT,
        TriggerCategory.TEAMS_POLLING,
        TriggerCategory.RECURRENCE,
        TriggerCategory.CONNECTOR_POLLING,
        TriggerCategory.CONNECTOR_WEBHOOK,
        TriggerCategory.HTTP_POLLING,
        TriggerCategory.HTTP_WEBHOOK,
        TriggerCategory.SERVICE_PROVIDER,
        # An unknown trigger may be self-starting: original and copy must not be on together.
        TriggerCategory.LOGIC_APP_OTHER,
        TriggerCategory.UNKNOWN,
    }
)
#: Of Microsoft's pages, one also lists recurrences, another says that missed ones do not run later.
_REPLAYS_BACKLOG = frozenset(
    {
        TriggerCategory.TEAMS_POLLING,
        TriggerCategory.CONNECTOR_POLLING,
        TriggerCategory.HTTP_POLLING,
        TriggerCategory.SERVICE_PROVIDER,
        TriggerCategory.LOGIC_APP_OTHER,
        TriggerCategory.UNKNOWN,
    }
)
_RUN_BY_PEOPLE = frozenset(
    {
        TriggerCategory.BUTTON,
        TriggerCategory.CONNECTOR_REQUEST,
        TriggerCategory.TEAMS_MESSAGE_ACTION,
        TriggerCategory.POWER_APPS_V1,
        TriggerCategory.POWER_APPS_V2,
    }
)
_CALLED = frozenset(TriggerCategory) - _SELF_STARTING - {TriggerCategory.NONE}

_CATEGORY_BY_REQUEST_KIND = {
    "http": TriggerCategory.HTTP,
    "teamswebhook": TriggerCategory.TEAMS_WEBHOOK,
    "powerapp": TriggerCategory.POWER_APPS_V1,
    "powerappv2": TriggerCategory.POWER_APPS_V2,
    "powerpages": TriggerCategory.POWER_PAGES,
    "skills": TriggerCategory.COPILOT_SKILLS,
    "virtualagent": TriggerCategory.VIRTUAL_AGENT,
    "button": TriggerCategory.BUTTON,
    "apiconnection": TriggerCategory.CONNECTOR_REQUEST,
    # In Logic Apps the kind is empty (an HTTP trigger) or the gallery that the trigger came from.
    "": TriggerCategory.HTTP,
    "geofence": TriggerCategory.CONNECTOR_REQUEST,
    "eventgrid": TriggerCategory.HTTP,
    "alert": TriggerCategory.HTTP,
    "securitycenteralert": TriggerCategory.HTTP,
    "azuremonitoralert": TriggerCategory.HTTP,
}
_CATEGORY_BY_TYPE = {
    "recurrence": TriggerCategory.RECURRENCE,
    "slidingwindow": TriggerCategory.RECURRENCE,
    "apiconnection": TriggerCategory.CONNECTOR_POLLING,
    "openapiconnection": TriggerCategory.CONNECTOR_POLLING,
    "apiconnectionwebhook": TriggerCategory.CONNECTOR_WEBHOOK,
    "openapiconnectionwebhook": TriggerCategory.CONNECTOR_WEBHOOK,
    "apiconnectionnotification": TriggerCategory.CONNECTOR_WEBHOOK,
    "openapiconnectionnotification": TriggerCategory.CONNECTOR_WEBHOOK,
    "http": TriggerCategory.HTTP_POLLING,
    "httpwebhook": TriggerCategory.HTTP_WEBHOOK,
    "serviceprovider": TriggerCategory.SERVICE_PROVIDER,
    "batch": TriggerCategory.LOGIC_APP_OTHER,
    "apimanagement": TriggerCategory.LOGIC_APP_OTHER,
    "function": TriggerCategory.LOGIC_APP_OTHER,
    "agent": TriggerCategory.LOGIC_APP_OTHER,
}
#: Operation ids of the Teams connector (platform.md#teams-triggers).
_CATEGORY_BY_TEAMS_OPERATION = {
    "teamsincomingwebhooktrigger": TriggerCategory.TEAMS_WEBHOOK,
    "onmessageselected": TriggerCategory.TEAMS_MESSAGE_ACTION,
    "onmessageselectedv2": TriggerCategory.TEAMS_MESSAGE_ACTION,
    "oncomposemessage": TriggerCategory.TEAMS_MESSAGE_ACTION,
    "oncomposemessagev2": TriggerCategory.TEAMS_MESSAGE_ACTION,
    "teamscardtrigger": TriggerCategory.TEAMS_MESSAGE_ACTION,
    "webhookkeywordtrigger": TriggerCategory.TEAMS_EVENT,
    "webhookatmentiontrigger": TriggerCategory.TEAMS_EVENT,
    "webhooknewmessagetrigger": TriggerCategory.TEAMS_EVENT,
    "webhookchatmessagetrigger": TriggerCategory.TEAMS_EVENT,
    "webhookmessagereactiontrigger": TriggerCategory.TEAMS_EVENT,
    "onnewchannelmessage": TriggerCategory.TEAMS_POLLING,
    "onnewchannelmessagementioningme": TriggerCategory.TEAMS_POLLING,
    "ongroupmembershipadd": TriggerCategory.TEAMS_POLLING,
    "ongroupmembershipremoval": TriggerCategory.TEAMS_POLLING,
    "recordingtrigger": TriggerCategory.TEAMS_POLLING,
    "transcripttrigger": TriggerCategory.TEAMS_POLLING,
}
_TEAMS_FALLBACK = {
    TriggerCategory.CONNECTOR_REQUEST: TriggerCategory.TEAMS_MESSAGE_ACTION,
    TriggerCategory.CONNECTOR_WEBHOOK: TriggerCategory.TEAMS_EVENT,
    TriggerCategory.CONNECTOR_POLLING: TriggerCategory.TEAMS_POLLING,
}


def classify_trigger(
    *,
    type: str,  # noqa: A002 -- the name the definition gives it
    kind: str | None = None,
    connector: str | None = None,
    operation_id: str | None = None,
) -> TriggerCategory:
    """Return the category of a trigger, or `UNKNOWN` if no row of docs/trigger-categories.md
    matches.

    `connector` and `operation_id` are those that `connector_operations.get_operation` returns, such
    as `shared_teams` and `WebhookKeywordTrigger`. A later version of an operation (`…V3`) counts as
    the listed one. An unlisted Teams operation is classified by its type and kind.
    """
    by_shape = _classify_by_type(type.lower(), (kind or "").lower())
    if connector != _TEAMS_CONNECTOR:
        return by_shape
    by_operation = _CATEGORY_BY_TEAMS_OPERATION.get(_remove_version(operation_id or ""))
    return by_operation or _TEAMS_FALLBACK.get(by_shape, by_shape)


def _classify_by_type(type_: str, kind: str) -> TriggerCategory:
    if type_ == "request":
        return _CATEGORY_BY_REQUEST_KIND.get(kind, TriggerCategory.UNKNOWN)
    return _CATEGORY_BY_TYPE.get(type_, TriggerCategory.UNKNOWN)


def _remove_version(operation_id: str) -> str:
    name = operation_id.lower()
    if name in _CATEGORY_BY_TEAMS_OPERATION:
        return name
    return name.rstrip("0123456789").removesuffix("v").removesuffix("_")
