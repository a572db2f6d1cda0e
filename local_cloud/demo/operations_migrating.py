"""Flows of *Operations* that move under the customer's key by themselves, some once prepared."""

from typing import Any

from local_cloud.demo.definitions import (
    DemoFlow,
    compose,
    operation,
    polling,
    recurrence,
    request,
    selected,
    subscription,
)

_WORK = {"Work": compose("done")}
_OFFICE = "shared_office365"
_MANAGEMENT = "shared_flowmanagement"
#: What a trigger of Power Apps (V1) asks an app for.
APP_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"Number_Value": {"type": "string", "x-ms-powerflows-param-ispartial": False}},
    "required": ["Number_Value"],
}

#: What is prepared before the key: added to a solution, or converted to V2 because it is named.
PREPARED = (
    DemoFlow(
        slug="visitors",
        title="Register a visitor (V1)",
        trigger=request("PowerApp", schema=APP_SCHEMA),
        actions=_WORK,
        extra={"inSolution": False},
    ),
    DemoFlow(
        slug="damage",
        title="Report damage (V1)",
        trigger=request("PowerApp", schema=APP_SCHEMA),
        actions={"Note": compose("@triggerBody()?['Number_Value']")},
        extra={"inSolution": False},
    ),
    DemoFlow(
        slug="night-list",
        title="List flows at night (V1)",
        trigger=recurrence(3600),
        actions={"List": operation(_MANAGEMENT, "ListFlowsInEnvironment")},
    ),
)

#: Flows that move under the customer's key by themselves: nothing is to be done.
MOVING = (
    DemoFlow(
        slug="app-v1",
        title="Answer the app (V1, in a solution)",
        trigger=request("PowerApp", schema=APP_SCHEMA),
        actions=_WORK,
    ),
    DemoFlow(
        slug="skill",
        title="Serve a copilot",
        trigger=request("Skills"),
        actions=_WORK,
    ),
    DemoFlow(
        slug="selected-file",
        title="Approve a selected file",
        trigger=selected("shared_sharepointonline", "ForASelectedFileHybridTrigger"),
        actions=_WORK,
    ),
    DemoFlow(
        slug="mail",
        title="Read the shared mailbox",
        trigger=polling(_OFFICE, "SharedMailboxOnNewEmailV2"),
        actions=_WORK,
    ),
    DemoFlow(
        slug="rows",
        title="Follow changed rows",
        trigger=subscription("shared_commondataserviceforapps", "SubscribeWebhookTrigger"),
        actions=_WORK,
    ),
    DemoFlow(
        slug="inventory-v2",
        title="List all flows (V2)",
        trigger=recurrence(3600),
        actions={"List": operation(_MANAGEMENT, "ListFlowsInEnvironment_V2")},
    ),
)
