"""The flows of the demo's environment *Operations*: every kind of trigger, families, callers.

Each group says what the remediation has to do with it; expected_ends.json says where it must end.
"""

from typing import Any

from local_cloud.demo.definitions import (
    DemoFlow,
    build_url_placeholder,
    compose,
    derive_id,
    http,
    operation,
    polling,
    post,
    recurrence,
    request,
    response,
    run_child,
    selected,
    subscription,
)
from local_cloud.demo.operations_migrating import APP_SCHEMA, MOVING, PREPARED

#: Beside the maker: a co-owner of a flow, and the Entra group that may read it.
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

#: Hosts that flows call, and what stands before them (azure.py).
ERP_HOST = "erp.contoso.example"
PRICING_HOST = "pricing.contoso.example"
RECEIPTS_HOST = "receipts.contoso.example"
LABELS_HOST = "labels.contoso.example"

_WORK = {"Work": compose("done")}
_TEAMS = "shared_teams"
_MANAGEMENT = "shared_flowmanagement"

#: HTTP flows with outside callers: copied, proven, callers moved, quiet, retired.
CALLED = (
    DemoFlow(
        slug="orders",
        title="Take orders",
        trigger=http(),
        actions=_WORK,
        extra={
            "description": "What the shop sends",
            "coOwners": {COLLEAGUE: "CanEdit", SALES: "CanView"},
            "solutions": ["Shop", "Default"],
        },
    ),
    DemoFlow(
        slug="old-host",
        title="Take returns (URL on the old host)",
        trigger=http(),
        actions=_WORK,
        extra={"urlForm": "classic"},
    ),
    DemoFlow(
        slug="stock",
        title="Answer stock level",
        trigger=http(method="POST"),
        actions={**_WORK, "Answer": response()},
    ),
    DemoFlow(
        slug="invoices",
        title="Book invoice",
        trigger=http(method="POST", relativePath="invoices/{number}"),
        actions=_WORK,
    ),
    DemoFlow(
        slug="partners",
        title="Hear from partners (tenant only)",
        trigger=http(triggerAuthenticationType="Tenant"),
        actions=_WORK,
    ),
    DemoFlow(slug="warehouse", title="Order from warehouse", trigger=http(), actions=_WORK),
    DemoFlow(slug="carrier", title="Book carrier", trigger=http(), actions=_WORK),
    DemoFlow(
        slug="alerts",
        title="Post alerts to a channel",
        trigger=request("TeamsWebhook", triggerAuthenticationType="All"),
        actions=_WORK,
    ),
)

#: Flows that hold the URLs of others: a literal one, and two environment variables.
CALLING = (
    DemoFlow(
        slug="web-shop",
        title="Pass on web shop orders",
        trigger=http(),
        actions={"Order": post(build_url_placeholder(NAME, "orders"))},
    ),
    DemoFlow(
        slug="restock",
        title="Restock",
        trigger=recurrence(4),
        actions={"Order": post("@parameters('Warehouse (contoso_Warehouse)')")},
        variables={"Warehouse (contoso_Warehouse)": "contoso_Warehouse"},
    ),
    DemoFlow(
        slug="send-parcel",
        title="Send parcel",
        trigger=request("Button"),
        actions={"Book": post("@{parameters('Carrier (contoso_Carrier)')}")},
        variables={"Carrier (contoso_Carrier)": "contoso_Carrier"},
    ),
    DemoFlow(
        slug="resend-order",
        title="Send an order again",
        trigger=request("PowerAppV2"),
        actions={"Order": post(build_url_placeholder(NAME, "orders"))},
    ),
)

#: Flows that call hosts behind firewalls: one stays shut, one is opened, one is waived by name.
GUARDED = (
    DemoFlow(
        slug="erp",
        title="Post to ERP",
        trigger=http(),
        actions={"Post": post(f"https://{ERP_HOST}/api/bookings")},
    ),
    DemoFlow(
        slug="pricing",
        title="Update prices",
        trigger=http(),
        actions={
            "Post": post(f"https://{PRICING_HOST}/api/prices"),
            "Receipt": post(f"https://{RECEIPTS_HOST}/api/prices"),
        },
    ),
    DemoFlow(
        slug="labels",
        title="Print labels",
        trigger=http(),
        actions={"Post": post(f"https://{LABELS_HOST}/print")},
    ),
)

#: A family of three levels with a child that two parents share, one of them self-starting.
FAMILY = (
    DemoFlow(
        slug="month-end",
        title="Close the month",
        trigger=http(),
        actions={"Ledger": run_child(NAME, "ledger"), "Audit": run_child(NAME, "audit")},
    ),
    DemoFlow(
        slug="ledger",
        title="Close the ledger",
        trigger=request("Button"),
        actions={"Audit": run_child(NAME, "audit"), "Answer": response()},
    ),
    DemoFlow(
        slug="audit",
        title="Write audit record",
        trigger=http(),
        actions={**_WORK, "Answer": response()},
    ),
    DemoFlow(
        slug="spot-check",
        title="Check at intervals",
        trigger=recurrence(5),
        actions={"Audit": run_child(NAME, "audit")},
    ),
)

#: Teams: called by a user, told by a subscription, asked at intervals (of a parent).
TEAMS = (
    DemoFlow(
        slug="ticket",
        title="Make a ticket of a message",
        trigger=selected(_TEAMS, "OnMessageSelectedV2"),
        actions=_WORK,
    ),
    DemoFlow(
        slug="compose-box",
        title="Insert an order link",
        trigger=selected(_TEAMS, "OnComposeMessageV2"),
        actions=_WORK,
    ),
    DemoFlow(
        slug="card",
        title="Take the answer to a card",
        trigger=selected(_TEAMS, "TeamsCardTrigger"),
        actions=_WORK,
    ),
    DemoFlow(
        slug="keyword",
        title="Hear a keyword",
        trigger=subscription(_TEAMS, "WebhookKeywordTrigger"),
        actions=_WORK,
    ),
    DemoFlow(
        slug="mention",
        title="Hear a mention",
        trigger=subscription(_TEAMS, "WebhookAtMentionTrigger"),
        actions=_WORK,
    ),
    DemoFlow(
        slug="channel",
        title="Read new channel messages",
        trigger=polling(_TEAMS, "OnNewChannelMessage"),
        actions={"Audit": run_child(NAME, "audit")},
    ),
)

#: What a person has to settle first, and what is off.
SPECIAL = (
    DemoFlow(
        slug="archive",
        title="Import the archive (off)",
        trigger=http(),
        actions=_WORK,
        extra={"state": "Stopped", "wasOn": True},
    ),
    DemoFlow(
        slug="vendor",
        title="Vendor intake (managed)",
        trigger=http(),
        actions=_WORK,
        extra={"isManaged": True},
    ),
    DemoFlow(
        slug="escalate",
        title="Escalate",
        trigger=http(),
        actions={"Next": run_child(NAME, "deescalate"), "Answer": response()},
    ),
    DemoFlow(
        slug="deescalate",
        title="De-escalate",
        trigger=request("Button"),
        actions={"Next": run_child(NAME, "escalate"), "Answer": response()},
    ),
    DemoFlow(
        slug="inventory",
        title="List all flows (V1)",
        trigger=recurrence(3600),
        actions={"List": operation(_MANAGEMENT, "ListFlowsInEnvironment")},
    ),
    DemoFlow(
        slug="other-connection",
        title="Mail with a connection of somebody else",
        trigger=http(),
        actions={"Send": operation("shared_sendmail", "SendEmailV3")},
    ),
    DemoFlow(
        slug="old-app",
        title="Answer the old app",
        trigger=request("PowerApp", schema=APP_SCHEMA),
        actions=_WORK,
        extra={"inSolution": False},
    ),
)

FLOWS = (*CALLED, *CALLING, *GUARDED, *FAMILY, *TEAMS, *SPECIAL, *PREPARED, *MOVING)
