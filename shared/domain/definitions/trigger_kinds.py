"""What starts a flow, and who notices when it moves: every trigger in one category.

One value per row of docs/trigger-categories.md. `kind` decides; the trigger's name is `manual`
nearly always and its `type` is `Request` for ten different things. docs/trigger-categories.md
writes the map down for people.
"""

from enum import StrEnum

_TEAMS_CONNECTOR = "shared_teams"


class TriggerCategory(StrEnum):
    """One kind of trigger, as far as a remediation has to tell them apart."""

    HTTP = "http"
    TEAMS_WEBHOOK = "teams_webhook"
    #: a message, the compose box or an adaptive card: Teams calls it on a user's behalf
    TEAMS_MESSAGE_ACTION = "teams_message_action"
    #: Teams holds a subscription: keyword, mention, new message, chat, reaction
    TEAMS_EVENT = "teams_event"
    #: the flow service asks Teams, or Teams tells it of recordings and transcripts
    TEAMS_POLLING = "teams_polling"
    POWER_APPS_V1 = "power_apps_v1"
    POWER_APPS_V2 = "power_apps_v2"
    POWER_PAGES = "power_pages"
    COPILOT_SKILLS = "copilot_skills"
    #: Power Virtual Agents, and tools of Copilot Studio's agents
    VIRTUAL_AGENT = "virtual_agent"
    BUTTON = "button"
    #: a user picks the flow in another product, e.g. SharePoint *For a selected file*
    CONNECTOR_REQUEST = "connector_request"
    RECURRENCE = "recurrence"
    CONNECTOR_POLLING = "connector_polling"
    CONNECTOR_WEBHOOK = "connector_webhook"
    #: Logic Apps only: polls or subscribes by plain HTTP
    HTTP_POLLING = "http_polling"
    HTTP_WEBHOOK = "http_webhook"
    #: Logic Apps Standard only: a connector that runs inside the host
    SERVICE_PROVIDER = "service_provider"
    #: Logic Apps only: batch receiver, API Management, Functions, agent conversations
    LOGIC_APP_OTHER = "logic_app_other"
    #: a definition without a trigger
    NONE = "none"
    UNKNOWN = "unknown"

    @property
    def has_callback_url(self) -> bool:
        """Whether outside systems hold a URL that `listCallbackUrl` gives.

        See platform.md#trigger-url-read.
        """
        return self in _WITH_CALLBACK_URL

    @property
    def is_self_starting(self) -> bool:
        """Whether it runs with nobody calling: original and copy on together would run twice."""
        return self in _SELF_STARTING

    @property
    def replays_backlog(self) -> bool:
        """Whether, turned on again, it processes what came while it was off.

        See platform.md#missed-events.
        """
        return self in _REPLAYS_BACKLOG

    @property
    def is_called(self) -> bool:
        """Whether a person, an app, a system or a parent flow invokes it."""
        return self in _CALLED

    @property
    def can_have_run_only_users(self) -> bool:
        """Whether people may be let run it who are not its owners: a list of its own.

        See platform.md#run-only-users.
        """
        return self in _RUN_BY_PEOPLE

    @property
    def is_run_by_agents(self) -> bool:
        """Whether agents of Copilot Studio run it, which hold its id."""
        return self in _RUN_BY_AGENTS

    @property
    def is_teams(self) -> bool:
        """Whether the Teams connector owns the trigger."""
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
        # What is not known may start itself: never run original and copy together on a guess.
        TriggerCategory.LOGIC_APP_OTHER,
        TriggerCategory.UNKNOWN,
    }
)
#: One of Microsoft's pages counts recurrences too, another says that missed ones are not made up.
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
_RUN_BY_AGENTS = frozenset({TriggerCategory.COPILOT_SKILLS, TriggerCategory.VIRTUAL_AGENT})
_CALLED = frozenset(TriggerCategory) - _SELF_STARTING - {TriggerCategory.NONE}

_BY_REQUEST_KIND = {
    "http": TriggerCategory.HTTP,
    "teamswebhook": TriggerCategory.TEAMS_WEBHOOK,
    "powerapp": TriggerCategory.POWER_APPS_V1,
    "powerappv2": TriggerCategory.POWER_APPS_V2,
    "powerpages": TriggerCategory.POWER_PAGES,
    "skills": TriggerCategory.COPILOT_SKILLS,
    "virtualagent": TriggerCategory.VIRTUAL_AGENT,
    "button": TriggerCategory.BUTTON,
    "apiconnection": TriggerCategory.CONNECTOR_REQUEST,
    # Logic Apps say nothing (an HTTP trigger), or name the gallery the trigger came from.
    "": TriggerCategory.HTTP,
    "geofence": TriggerCategory.CONNECTOR_REQUEST,
    "eventgrid": TriggerCategory.HTTP,
    "alert": TriggerCategory.HTTP,
    "securitycenteralert": TriggerCategory.HTTP,
    "azuremonitoralert": TriggerCategory.HTTP,
}
_BY_TYPE = {
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
_BY_TEAMS_OPERATION = {
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
    """Return the category of a trigger; `UNKNOWN` where no row of docs/trigger-categories.md fits.

    `connector` and `operation_id` come resolved (`shared_teams`, `WebhookKeywordTrigger`): see
    `connector_operations.operation_of`. An operation of a later version (`…V3`) is taken as the
    one it replaces, and a Teams operation nobody has listed goes by the way it is started.
    """
    by_shape = _by_shape(type.lower(), (kind or "").lower())
    if connector != _TEAMS_CONNECTOR:
        return by_shape
    by_operation = _BY_TEAMS_OPERATION.get(_without_version(operation_id or ""))
    return by_operation or _TEAMS_FALLBACK.get(by_shape, by_shape)


def _by_shape(type_: str, kind: str) -> TriggerCategory:
    if type_ == "request":
        return _BY_REQUEST_KIND.get(kind, TriggerCategory.UNKNOWN)
    return _BY_TYPE.get(type_, TriggerCategory.UNKNOWN)


def _without_version(operation_id: str) -> str:
    name = operation_id.lower()
    if name in _BY_TEAMS_OPERATION:
        return name
    return name.rstrip("0123456789").removesuffix("v").removesuffix("_")
