"""Build the seed of the demo's tenant: people, environments, connections and request budgets."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local_cloud.demo import customer_care, operations
from local_cloud.demo.azure import (
    EVIDENCE_KEY,
    OPERATOR_SECRET,
    POLICY_SYSTEM_ID,
    build_azure,
)
from local_cloud.demo.definitions import (
    DemoFlow,
    build_flow_id,
    build_reference_name,
    build_url_placeholder,
    derive_id,
)
from local_cloud.demo.received_notifications import (
    build_channel_settings,
    build_faults,
    build_receivers,
)
from local_cloud.demo.scope import APPLICATION_VAULT, SUBSCRIPTION
from local_cloud.tenant.core.profiles import Profile
from local_cloud.tenant.time_stamps.endpoints import HOST as TIME_STAMP_HOST

type Json = dict[str, Any]

TENANT_ID = derive_id("tenant")
APPLICATION_CLIENT_ID = derive_id("application", "client")
OPERATOR_CLIENT_ID = derive_id("operator", "client")
#: The client id of the registration with which people sign in to the app.
SIGN_IN_CLIENT_ID = derive_id("sign-in", "client")
_APPLICATION = derive_id("application")
_ADMIN = derive_id("admin")
_APPROVER = derive_id("approver")
_READER = derive_id("reader")
_OPERATOR = derive_id("operator")
MAKER = derive_id("maker")
#: A canvas app that runs a flow. Only its maker can change it to the copy.
OLD_APP = derive_id("app", "requests")

#: Calls a minute that the demo's tenant answers, so that it ends in two or three minutes. The real
#: flow service promises 5; the product reads its budgets from settings.
CALLS_PER_MINUTE = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoEnvironment:
    name: str
    title: str
    region: str
    flows: Sequence[DemoFlow]

    @property
    def id(self) -> str:
        return derive_id("environment", self.name)


OPERATIONS = DemoEnvironment(
    name=operations.NAME, title="Operations", region="westeurope", flows=operations.FLOWS
)
CUSTOMER_CARE = DemoEnvironment(
    name=customer_care.NAME,
    title="Customer care",
    region="northeurope",
    flows=customer_care.FLOWS,
)
ENVIRONMENTS = (OPERATIONS, CUSTOMER_CARE)


#: Shorter times of the adversarial platform, because they really pass in the demo.
_ADVERSARIAL_TIMES = {
    "read_lag_seconds": (0.2, 1),
    "list_lag_seconds": (0.5, 2),
    "list_seconds": 0.02,
}


def build_demo_tenant(profile: Profile = Profile.DOCUMENTED) -> Json:
    """Return the tenant's seed, in the format of local_cloud/tenant/README.md."""
    return {
        "directory": _build_directory(),
        "profile": profile,
        "assumptions": {
            "link_start_seconds": 1,
            "link_seconds": 3,
            "link_retry_after": 1,
            "migration_seconds": 8,
        }
        | (_ADVERSARIAL_TIMES if profile is Profile.ADVERSARIAL else {}),
        "budgets": {
            name: {"calls": CALLS_PER_MINUTE, "seconds": 60}
            for name in ("flow_service", "dataverse", "resource_manager")
        },
        "receivers": build_receivers(),
        "faults": build_faults(),
        "environments": [
            _build_environment(OPERATIONS)
            | operations.SHARING
            | {
                "canvasApps": [
                    {
                        "name": OLD_APP,
                        "displayName": "Requests",
                        "owner": MAKER,
                        "flows": [build_flow_id(operations.NAME, "old-app")],
                    }
                ],
                "environmentVariables": [
                    {
                        "schemaName": "contoso_Warehouse",
                        "displayName": "Warehouse",
                        "value": build_url_placeholder(operations.NAME, "warehouse"),
                    },
                    {
                        "schemaName": "contoso_Carrier",
                        "displayName": "Carrier",
                        "defaultValue": build_url_placeholder(operations.NAME, "carrier"),
                    },
                ],
            },
            _build_environment(CUSTOMER_CARE) | {"policy": POLICY_SYSTEM_ID},
        ],
        "azure": build_azure(),
    }


def build_app_settings() -> dict[str, str]:
    """Return the app's settings for the demo, with periods of seconds."""
    return {
        "CMK_TENANT_ID": TENANT_ID,
        "CMK_SUBSCRIPTION_IDS": SUBSCRIPTION,
        "CMK_CLIENT_ID": APPLICATION_CLIENT_ID,
        "CMK_SERVICE_ACCOUNT_CLIENT_ID": OPERATOR_CLIENT_ID,
        "CMK_SERVICE_ACCOUNT_TOKEN_CACHE_SECRET": (
            f"https://{APPLICATION_VAULT}.vault.azure.net/secrets/{OPERATOR_SECRET}"
        ),
        "CMK_EVIDENCE_KEY": f"https://{APPLICATION_VAULT}.vault.azure.net/keys/{EVIDENCE_KEY}",
        "CMK_TIME_STAMP_AUTHORITY": f"https://{TIME_STAMP_HOST}/",
        "CMK_FLOW_SERVICE_REQUESTS_PER_MINUTE": str(CALLS_PER_MINUTE),
        "CMK_FLOW_SERVICE_REQUESTS_PER_DAY": str(24 * 60 * CALLS_PER_MINUTE),
        "CMK_DATAVERSE_REQUESTS_PER_MINUTE": str(CALLS_PER_MINUTE),
        "CMK_RESOURCE_MANAGER_REQUESTS_PER_MINUTE": str(CALLS_PER_MINUTE),
        "CMK_NO_CALL_PERIOD": "PT6S",
        "CMK_MONITORING_PERIOD": "PT4S",
        "CMK_CALLER_BATCH_WAIT": "PT5S",
        "CMK_SECRET_OLD_VALUE_LIFETIME": "PT8S",
        "CMK_VARIABLE_OLD_VALUE_LIFETIME": "PT8S",
        "CMK_PLATFORM_MIGRATION_POLL_INTERVAL": "PT2S",
        "CMK_WAIT_POLL_INTERVAL": "PT2S",
        "CMK_BACKOFF_INITIAL_DELAY": "PT1S",
        "CMK_JOB_LEASE_DURATION": "PT20S",
        "CMK_RESOURCE_LEASE_DURATION": "PT20S",
        "CMK_IN_FLIGHT_TIMEOUT": "PT10S",  # a process that is killed here is dead, not frozen
        "CMK_READ_LAG": "PT2S",
        "CMK_READ_BACK_TIMEOUT": "PT20S",
        "CMK_OVERDUE_DELAY": "PT3S",
        "CMK_POLICY_LINK_POLL_SCHEDULE": "*/2 * * * * *",
        # Twelve hours away: a check would start remediations in the middle of the demo.
        "CMK_DAILY_CHECK_SCHEDULE": f"0 0 {(datetime.now(UTC).hour + 12) % 24} * * *",
        "CMK_DUE_MESSAGES_SCHEDULE": "*/3 * * * * *",
        "CMK_DELETION_SCHEDULE": "*/4 * * * * *",
        "CMK_DELETION_DELAY": "PT20S",
        **build_channel_settings(),
        "AzureFunctionsJobHost__extensions__serviceBus__maxConcurrentCalls": "8",
    }


def build_environment_seed(identity: str, title: str, host: str) -> Json:
    """Return the seed of an environment without flows, in which the app has its rights."""
    return {
        "id": identity,
        "displayName": title,
        "location": "europe",
        "azureRegion": "westeurope",
        "orgHost": f"{host}.crm4.dynamics.com",
        "members": [{"id": _APPLICATION, "isAdministrator": True, "mayImpersonate": True}],
    }


def _build_directory() -> Json:
    return {
        "tenantId": TENANT_ID,
        "applications": [
            {
                "id": _APPLICATION,
                "clientId": APPLICATION_CLIENT_ID,
                "name": "CMK flow remediation",
                "isAdmin": True,
            },
            {
                "id": derive_id("sign-in"),
                "clientId": SIGN_IN_CLIENT_ID,
                "name": "cmkflow-local",
                "appRoles": {
                    _ADMIN: ["operator", "approver"],
                    _APPROVER: ["approver"],
                    _READER: ["reader"],
                },
                "redirectUris": ["http://127.0.0.1/.auth/login/aad/callback"],
                "federatedIdentities": [_APPLICATION],
            },
            {
                "id": derive_id("operator", "application"),
                "clientId": OPERATOR_CLIENT_ID,
                "name": "cmkflow-service-account",
            },
        ],
        "groups": [{"id": operations.SALES, "name": "Sales"}],
        "users": [
            {"id": MAKER, "name": "Maker", "upn": "maker@contoso.example"},
            {"id": operations.COLLEAGUE, "name": "Colleague", "upn": "colleague@contoso.example"},
            {"id": _ADMIN, "name": "Admin", "upn": "admin@contoso.example"},
            {"id": _APPROVER, "name": "Approver", "upn": "approver@contoso.example"},
            {"id": _READER, "name": "Auditor", "upn": "auditor@contoso.example"},
            {"id": _OPERATOR, "name": "Flow operator", "upn": "operator@contoso.example"},
        ],
        "managedIdentity": APPLICATION_CLIENT_ID,
        "deviceCodeUser": _OPERATOR,
        "deviceCodeUsers": {SIGN_IN_CLIENT_ID: _ADMIN},
    }


def _build_environment(environment: DemoEnvironment) -> Json:
    flows = [flow.to_seed(environment.name, MAKER) for flow in environment.flows]
    connectors = sorted({key for flow in flows for key in flow["connectionReferences"]})
    host = f"contoso-{environment.name.replace('_', '-')}"
    return build_environment_seed(environment.id, environment.title, host) | {
        "azureRegion": environment.region,
        "connections": [_build_connection(connector) for connector in connectors],
        "connectionReferences": [
            {
                "connectionreferencelogicalname": build_reference_name(connector),
                "connectionreferencedisplayname": connector,
                "connectorid": f"/providers/Microsoft.PowerApps/apis/{connector}",
                "connectionid": _build_connection(connector)["name"],
            }
            for connector in connectors
        ],
        "flows": flows,
    }


def _build_connection(connector: str) -> Json:
    owner = operations.COLLEAGUE if connector == "shared_sendmail" else MAKER
    return {"name": f"{connector}-{derive_id(connector)[:8]}", "api": connector, "owner": owner}
