"""Define the flows of the demo's environment *Customer care*, to which a key was applied long ago.

It represents environments that were linked before Power Automate supported keys: the platform has
migrated some flows, and the others are still on Microsoft's key.
"""

from local_cloud.demo.definitions import (
    WORK,
    DemoFlow,
    build_child_flow_action,
    build_http_trigger,
    build_post_action,
    build_request_trigger,
    build_response_action,
    build_webhook_trigger,
)

NAME = "customer_care"
#: A host of another company, whose firewall the app cannot read (azure.py).
COURIER_HOST = "api.fabrikam.example"

_MOVED = {"isProtected": True}

FLOWS = (
    DemoFlow(slug="survey", title="Take survey answers", trigger=build_http_trigger()),
    DemoFlow(slug="complaint", title="Take complaints", trigger=build_http_trigger()),
    DemoFlow(
        slug="chat",
        title="Post chats to a channel",
        trigger=build_request_trigger("TeamsWebhook", triggerAuthenticationType="All"),
    ),
    DemoFlow(
        slug="call-back",
        title="Ask for a call back",
        trigger=build_http_trigger(),
        actions={"Customer": build_child_flow_action(NAME, "customer")},
    ),
    DemoFlow(
        slug="customer",
        title="Look up customer",
        trigger=build_http_trigger(),
        actions={**WORK, "Answer": build_response_action()},
    ),
    DemoFlow(
        slug="feedback",
        title="Take feedback (rolled back)",
        trigger=build_http_trigger(),
        extra={"urlForm": "capacity_unit"},
    ),
    DemoFlow(
        slug="courier",
        title="Order a courier",
        trigger=build_http_trigger(),
        actions={"Book": build_post_action(f"https://{COURIER_HOST}/bookings")},
    ),
    DemoFlow(
        slug="campaign",
        title="Last year's campaign (off)",
        trigger=build_http_trigger(),
        extra={"state": "Stopped", "wasOn": True},
    ),
    DemoFlow(
        slug="reply",
        title="Suggest a reply",
        trigger=build_request_trigger("PowerAppV2"),
        extra=_MOVED,
    ),
    DemoFlow(
        slug="case",
        title="Follow new cases",
        trigger=build_webhook_trigger("shared_commondataserviceforapps", "SubscribeWebhookTrigger"),
        extra=_MOVED,
    ),
)
