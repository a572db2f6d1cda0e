r"""Add a seed (JSON) to a tenant. The README describes each member of a seed.

In texts that may contain a URL, `{{trigger_url:NAME}}` (name or Dataverse id of a flow) is replaced
by the flow's trigger URL. `{{trigger_url:NAME|json}}` has the form with `\u0026`, and
`{{trigger_url:NAME|percent}}` the percent-encoded form.
"""

import json
import re
from typing import Any
from urllib.parse import quote

from local_cloud.tenant.azure.key_health import find_policy
from local_cloud.tenant.core.faults import Fault
from local_cloud.tenant.core.profiles import PROFILES, Profile
from local_cloud.tenant.core.requests import Budget
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.dataverse.simulated_table import OPTIONAL_TABLES
from local_cloud.tenant.entra.directory import Directory, PrincipalType, SimulatedPrincipal
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow
from local_cloud.tenant.environments.migration import start_migration
from local_cloud.tenant.environments.power_platform import PowerPlatform
from local_cloud.tenant.external_services import list_external_services
from local_cloud.tenant.flows.trigger_urls import build_callback
from local_cloud.tenant.receivers.received_messages import Receivers
from local_cloud.tenant.seed.azure import seed_azure
from local_cloud.tenant.seed.environment import seed_environment

type Description = dict[str, Any]

_PLACEHOLDER = re.compile(r"\{\{trigger_url:([^}|]+)(?:\|(json|percent))?\}\}")


def seed(tenant: Tenant, description: Description) -> None:
    """Add everything that a seed describes to a tenant.

    Raises `KeyError`, `TypeError`, `ValueError` or `SimulatedPlatformError` for an invalid seed,
    and `OSError` if the service tag file cannot be read.
    """
    _seed_directory(tenant.get_part(Directory), description.get("directory") or {})
    assumptions = tenant.get_part(PowerPlatform).assumptions
    assumptions.change(PROFILES[Profile(description.get("profile", Profile.DOCUMENTED))])
    assumptions.change(description.get("assumptions") or {})
    for name, budget in (description.get("budgets") or {}).items():
        tenant.calls.budgets[name] = Budget(**budget)
    for fault in description.get("faults") or []:
        tenant.faults.add(Fault.parse(fault))
    receivers, described = tenant.get_part(Receivers), description.get("receivers") or {}
    receivers.webhook_secret = described.get("webhookSecret", receivers.webhook_secret)
    receivers.channel_signature = described.get("channelSignature", receivers.channel_signature)
    added = [
        (seed_environment(tenant, each), each) for each in description.get("environments") or []
    ]
    urls = _Urls(tenant.get_part(PowerPlatform))
    for environment, _ in added:
        _replace_placeholders(environment, urls)
    seed_azure(tenant, json.loads(urls.fill(json.dumps(description.get("azure") or {}))))
    for external in list_external_services():
        if section := description.get(external.section):
            external.seed(tenant, json.loads(urls.fill(json.dumps(section))))
    for environment, each in added:
        if each.get("policy"):
            _link_environment(tenant, environment, each["policy"])


def _seed_directory(directory: Directory, description: Description) -> None:
    directory.tenant_id = description.get("tenantId", directory.tenant_id)
    for user in description.get("users") or []:
        directory.add(
            SimulatedPrincipal(
                object_id=user["id"],
                name=user.get("name", user["id"]),
                upn=user.get("upn", ""),
                is_admin=user.get("isAdmin", False),
                has_premium=user.get("hasPremium", True),
            )
        )
    for group in description.get("groups") or []:
        directory.add(
            SimulatedPrincipal(
                object_id=group["id"],
                name=group.get("name", group["id"]),
                type=PrincipalType.GROUP,
            )
        )
    for application in description.get("applications") or []:
        directory.add(
            SimulatedPrincipal(
                object_id=application["id"],
                name=application.get("name", application["clientId"]),
                type=PrincipalType.SERVICE_PRINCIPAL,
                client_id=application["clientId"],
                secret=application.get("secret"),
                app_roles=application.get("appRoles", {}),
                redirect_uris=application.get("redirectUris", []),
                federated_identities=application.get("federatedIdentities", []),
                is_admin=application.get("isAdmin", False),
                has_premium=application.get("hasPremium", True),
            )
        )
    if client_id := description.get("managedIdentity"):
        identity = directory.find_client(client_id)
        if identity is None:
            raise ValueError(f"the managed identity '{client_id}' is no application")
        directory.managed_identity = identity.object_id
    directory.device_code_user = description.get("deviceCodeUser", directory.device_code_user)
    directory.device_code_users = description.get("deviceCodeUsers", {})


class _Urls:
    """Replaces the placeholders in texts of a seed with the trigger URLs of flows."""

    def __init__(self, platform: PowerPlatform) -> None:
        self._flows: dict[str, tuple[SimulatedEnvironment, Flow]] = {}
        for environment in platform.environments.values():
            for flow in environment.order:
                self._flows[flow.name] = (environment, flow)
                self._flows[flow.workflow_entity_id] = (environment, flow)

    def fill(self, text: str) -> str:
        return _PLACEHOLDER.sub(self._build_url, text) if "{{trigger_url:" in text else text

    def _build_url(self, match: re.Match[str]) -> str:
        url: str = build_callback(*self._flows[match[1]])["value"]
        match match[2]:
            case "json":
                return url.replace("&", "\\u0026")
            case "percent":
                return quote(url, safe="")
            case _:
                return url


def _replace_placeholders(environment: SimulatedEnvironment, urls: _Urls) -> None:
    for entity_set, column in (
        ("environmentvariabledefinitions", "defaultvalue"),
        ("environmentvariablevalues", "value"),
        ("serviceendpoints", "url"),
    ):
        for row in environment.get_table(entity_set).values():
            if isinstance(row[column], str):
                row[column] = urls.fill(row[column])
    for table in OPTIONAL_TABLES:
        for row in environment.get_table(table.entity_set).values():
            row |= {name: urls.fill(text) for name, text in row.items() if isinstance(text, str)}
    for flow in environment.order:
        flow.client_data = urls.fill(flow.client_data)
        flow.saved_variables = {
            name: urls.fill(value) for name, value in flow.saved_variables.items()
        }


def _link_environment(tenant: Tenant, environment: SimulatedEnvironment, system_id: str) -> None:
    """Link an environment as if this was long ago.

    All flows that can migrate are on the customer-managed key.
    """
    policy = find_policy(tenant, system_id)
    if policy is None:
        raise ValueError(f"the policy '{system_id}' of '{environment.id}' is not in 'azure'")
    environment.policy = policy
    start_migration(tenant.get_part(PowerPlatform), environment, environment.created, 0)
