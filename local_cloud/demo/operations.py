"""Define the flows of the demo's environment *Operations*, with many kinds of triggers.

The comment of each group says what the remediation does with it; `expected_ends.json` has the
results.
"""

from typing import Any

from local_cloud.demo.definitions import (
    WORK,
    DemoFlow,
    build_child_flow_action,
    build_connector_action,
    build_http_trigger,
    build_polling_trigger,
    build_post_action,
    build_recurrence,
    build_request_trigger,
    build_response_action,
    build_selection_trigger,
    build_url_placeholder,
    build_webhook_trigger,
    derive_id,
)
from local_cloud.demo.operations_migrating import APP_SCHEMA, MOVING, PREPARED

#: A co-owner of a flow, and the Entra group that may read the flow.
COLLEAGUE = derive_id("colleague")
SALES = derive_id("sales")
#: What Operations has for them in Dataverse.
SHARING: dict[str, Any] = {
    "teams": [{"name": "Sales", "azureactivedirectoryobjectid": SALES, "teamtype": 2}],
    "solutions": [
        {"uniquename": "Shop", "friendlyname": "Shop"},
        {"uniquename": "Default", "friendlyname": "Default Solution"},
    ],
}
#: Short name of the environment in ids and in the table of expected ends.
NAME = "operations"

#: Hosts that flows call through firewalls (azure.py).
ERP_HOST = "erp.contoso.example"
PRICING_HOST = "pricing.contoso.example"
RECEIPTS_HOST = "receipts.contoso.example"
LABELS_HOST = "labels.contoso.example"

_TEAMS = "shared_teams"
_MANAGEMENT = "shared_flowmanagement"

#: HTTP flows with outside callers: copied, verified, callers updated, retired.
CALLED = (
    DemoFlow(
        slug="orders",
        title="Take orders",
        trigger=build_http_trigger(),
        extra={
            "description": "What the shop sends",
            "coOwners": {COLLEAGUE: "CanEdit", SALES: "CanView"},
            "solutions": ["Shop", "Default"],
        },
    ),
    DemoFlow(
        slug="old-host",
        title="Take returns (URL on the old host)",
        trigger=build_http_trigger(),
        extra={"urlForm": "classic"},
    ),
    DemoFlow(
        slug="stock",
        title="Answer stock level",
        trigger=build_http_trigger(method="POST"),
        actions={**WORK, "Answer": build_response_action()},
    ),
    DemoFlow(
        slug="invoices",
        title="Book invoice",
        trigger=build_http_trigger(method="POST", relativePath="invoices/{number}"),
    ),
    DemoFlow(
        slug="partners",
        title="Hear from partners (tenant only)",
        trigger=build_http_trigger(triggerAuthenticationType="Tenant"),
    ),
    DemoFlow(slug="warehouse", title="Order from warehouse", trigger=build_http_trigger()),
    DemoFlow(slug="carrier", title="Book carrier", trigger=build_http_trigger()),
    DemoFlow(
        slug="alerts",
        title="Post alerts to a channel",
        trigger=build_request_trigger("TeamsWebhook", triggerAuthenticationType="All"),
    ),
)

#: Flows that hold the URLs of others: a literal one, and two environment variables.
CALLING = (
    DemoFlow(
        slug="web-shop",
        title="Pass on web shop orders",
        trigger=build_http_trigger(),
        actions={"Order": build_post_action(build_url_placeholder(NAME, "orders"))},
    ),
    DemoFlow(
        slug="restock",
        title="Restock",
        trigger=build_recurrence(4),
        actions={"Order": build_post_action("@parameters('Warehouse (contoso_Warehouse)')")},
        variables={"Warehouse (contoso_Warehouse)": "contoso_Warehouse"},
    ),
    DemoFlow(
        slug="send-parcel",
        title="Send parcel",
        trigger=build_request_trigger("Button"),
        actions={"Book": build_post_action("@{parameters('Carrier (contoso_Carrier)')}")},
        variables={"Carrier (contoso_Carrier)": "contoso_Carrier"},
    ),
    DemoFlow(
        slug="resend-order",
        title="Send an order again",
        trigger=build_request_trigger("PowerAppV2"),
        actions={"Order": build_post_action(build_url_placeholder(NAME, "orders"))},
    ),
)

#: Flows that call hosts behind firewalls: one stays closed, one is opened, one is ignored.
GUARDED = (
    DemoFlow(
        slug="erp",
        title="Post to ERP",
        trigger=build_http_trigger(),
        actions={"Post": build_post_action(f"https://{ERP_HOST}/api/bookings")},
    ),
    DemoFlow(
        slug="pricing",
        title="Update prices",
        trigger=build_http_trigger(),
        actions={
            "Post": build_post_action(f"https://{PRICING_HOST}/api/prices"),
            "Receipt": build_post_action(f"https://{RECEIPTS_HOST}/api/prices"),
        },
    ),
    DemoFlow(
        slug="labels",
        title="Print labels",
        trigger=build_http_trigger(),
        actions={"Post": build_post_action(f"https://{LABELS_HOST}/print")},
    ),
)

#: Dependent flows of three levels. Two parents run the same child; one parent is self-starting.
FAMILY = (
    DemoFlow(
        slug="month-end",
        title="Close the month",
        trigger=build_http_trigger(),
        actions={
            "Ledger": build_child_flow_action(NAME, "ledger"),
            "Audit": build_child_flow_action(NAME, "audit"),
        },
    ),
    DemoFlow(
        slug="ledger",
        title="Close the ledger",
        trigger=build_request_trigger("Button"),
        actions={
            "Audit": build_child_flow_action(NAME, "audit"),
            "Answer": build_response_action(),
        },
    ),
    DemoFlow(
        slug="audit",
        title="Write audit record",
        trigger=build_http_trigger(),
        actions={**WORK, "Answer": build_response_action()},
    ),
    DemoFlow(
        slug="spot-check",
        title="Check at intervals",
        trigger=build_recurrence(5),
        actions={"Audit": build_child_flow_action(NAME, "audit")},
    ),
)

#: Teams triggers: for a selected message, by a subscription, and by polling (with a child).
TEAMS = (
    DemoFlow(
        slug="ticket",
        title="Make a ticket of a message",
        trigger=build_selection_trigger(_TEAMS, "OnMessageSelectedV2"),
    ),
    DemoFlow(
        slug="compose-box",
        title="Insert an order link",
        trigger=build_selection_trigger(_TEAMS, "OnComposeMessageV2"),
    ),
    DemoFlow(
        slug="card",
        title="Take the answer to a card",
        trigger=build_selection_trigger(_TEAMS, "TeamsCardTrigger"),
    ),
    DemoFlow(
        slug="keyword",
        title="Hear a keyword",
        trigger=build_webhook_trigger(_TEAMS, "WebhookKeywordTrigger"),
    ),
    DemoFlow(
        slug="mention",
        title="Hear a mention",
        trigger=build_webhook_trigger(_TEAMS, "WebhookAtMentionTrigger"),
    ),
    DemoFlow(
        slug="channel",
        title="Read new channel messages",
        trigger=build_polling_trigger(_TEAMS, "OnNewChannelMessage"),
        actions={"Audit": build_child_flow_action(NAME, "audit")},
    ),
)

#: Flows that need changes first, and flows that are off.
SPECIAL = (
    DemoFlow(
        slug="archive",
        title="Import the archive (off)",
        trigger=build_http_trigger(),
        extra={"state": "Stopped", "wasOn": True},
    ),
    DemoFlow(
        slug="vendor",
        title="Vendor intake (managed)",
        trigger=build_http_trigger(),
        extra={"isManaged": True},
    ),
    DemoFlow(
        slug="escalate",
        title="Escalate",
        trigger=build_http_trigger(),
        actions={
            "Next": build_child_flow_action(NAME, "deescalate"),
            "Answer": build_response_action(),
        },
    ),
    DemoFlow(
        slug="deescalate",
        title="De-escalate",
        trigger=build_request_trigger("Button"),
        actions={
            "Next": build_child_flow_action(NAME, "escalate"),
            "Answer": build_response_action(),
        },
    ),
    DemoFlow(
        slug="inventory",
        title="List all flows (V1)",
        trigger=build_recurrence(3600),
        actions={"List": build_connector_action(_MANAGEMENT, "ListFlowsInEnvironment")},
    ),
    DemoFlow(
        slug="other-connection",
        title="Mail with a connection of somebody else",
        trigger=build_http_trigger(),
        actions={"Send": build_connector_action("shared_sendmail", "SendEmailV3")},
    ),
    DemoFlow(
        slug="old-app",
        title="Answer the old app",
        trigger=build_request_trigger("PowerApp", schema=APP_SCHEMA),
        extra={"inSolution": False},
    ),
)

FLOWS = (*CALLED, *CALLING, *GUARDED, *FAMILY, *TEAMS, *SPECIAL, *PREPARED, *MOVING)
