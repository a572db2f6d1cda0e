"""Define the flows of *Operations* that the platform migrates to the customer's key.

Some of them migrate only because they were prepared before.
"""

from typing import Any

from local_cloud.demo.definitions import (
    DemoFlow,
    build_compose_action,
    build_connector_action,
    build_polling_trigger,
    build_recurrence,
    build_request_trigger,
    build_selection_trigger,
    build_webhook_trigger,
)

_OFFICE = "shared_office365"
_MANAGEMENT = "shared_flowmanagement"
#: The input of a trigger of Power Apps (V1).
APP_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"Number_Value": {"type": "string", "x-ms-powerflows-param-ispartial": False}},
    "required": ["Number_Value"],
}

#: Flows that are prepared before the key: added to a solution, or converted to V2.
PREPARED = (
    DemoFlow(
        slug="visitors",
        title="Register a visitor (V1)",
        trigger=build_request_trigger("PowerApp", schema=APP_SCHEMA),
        extra={"inSolution": False},
    ),
    DemoFlow(
        slug="damage",
        title="Report damage (V1)",
        trigger=build_request_trigger("PowerApp", schema=APP_SCHEMA),
        actions={"Note": build_compose_action("@triggerBody()?['Number_Value']")},
        extra={"inSolution": False},
    ),
    DemoFlow(
        slug="night-list",
        title="List flows at night (V1)",
        trigger=build_recurrence(3600),
        actions={"List": build_connector_action(_MANAGEMENT, "ListFlowsInEnvironment")},
    ),
)

#: Flows that the platform migrates without any preparation.
MOVING = (
    DemoFlow(
        slug="app-v1",
        title="Answer the app (V1, in a solution)",
        trigger=build_request_trigger("PowerApp", schema=APP_SCHEMA),
    ),
    DemoFlow(
        slug="skill",
        title="Serve a copilot",
        trigger=build_request_trigger("Skills"),
    ),
    DemoFlow(
        slug="selected-file",
        title="Approve a selected file",
        trigger=build_selection_trigger("shared_sharepointonline", "ForASelectedFileHybridTrigger"),
    ),
    DemoFlow(
        slug="mail",
        title="Read the shared mailbox",
        trigger=build_polling_trigger(_OFFICE, "SharedMailboxOnNewEmailV2"),
    ),
    DemoFlow(
        slug="rows",
        title="Follow changed rows",
        trigger=build_webhook_trigger("shared_commondataserviceforapps", "SubscribeWebhookTrigger"),
    ),
    DemoFlow(
        slug="inventory-v2",
        title="List all flows (V2)",
        trigger=build_recurrence(3600),
        actions={"List": build_connector_action(_MANAGEMENT, "ListFlowsInEnvironment_V2")},
    ),
)
