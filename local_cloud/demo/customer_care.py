"""The flows of the demo's environment *Customer care*, which has been under the key for long.

It stands for the environments that were linked before Power Automate took part: what could move by
itself has moved, the rest is still on Microsoft's key.
"""

from local_cloud.demo.definitions import (
    DemoFlow,
    compose,
    http,
    post,
    request,
    response,
    run_child,
    subscription,
)

NAME = "customer_care"
#: A host of another company: its firewall lies where the app does not read (azure.py).
COURIER_HOST = "api.fabrikam.example"

_WORK = {"Work": compose("done")}
_MOVED = {"isProtected": True}

FLOWS = (
    DemoFlow(slug="survey", title="Take survey answers", trigger=http(), actions=_WORK),
    DemoFlow(slug="complaint", title="Take complaints", trigger=http(), actions=_WORK),
    DemoFlow(
        slug="chat",
        title="Post chats to a channel",
        trigger=request("TeamsWebhook", triggerAuthenticationType="All"),
        actions=_WORK,
    ),
    DemoFlow(
        slug="call-back",
        title="Ask for a call back",
        trigger=http(),
        actions={"Customer": run_child(NAME, "customer")},
    ),
    DemoFlow(
        slug="customer",
        title="Look up customer",
        trigger=http(),
        actions={**_WORK, "Answer": response()},
    ),
    DemoFlow(
        slug="feedback",
        title="Take feedback (rolled back)",
        trigger=http(),
        actions=_WORK,
        extra={"urlForm": "capacity_unit"},
    ),
    DemoFlow(
        slug="courier",
        title="Order a courier",
        trigger=http(),
        actions={"Book": post(f"https://{COURIER_HOST}/bookings")},
    ),
    DemoFlow(
        slug="campaign",
        title="Last year's campaign (off)",
        trigger=http(),
        actions=_WORK,
        extra={"state": "Stopped", "wasOn": True},
    ),
    DemoFlow(
        slug="reply",
        title="Suggest a reply",
        trigger=request("PowerAppV2"),
        actions=_WORK,
        extra=_MOVED,
    ),
    DemoFlow(
        slug="case",
        title="Follow new cases",
        trigger=subscription("shared_commondataserviceforapps", "SubscribeWebhookTrigger"),
        actions=_WORK,
        extra=_MOVED,
    ),
)
