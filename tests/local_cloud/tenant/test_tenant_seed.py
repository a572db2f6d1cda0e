import copy
import json
from typing import Any
from urllib.parse import unquote

import pytest

from local_cloud.tenant.azure.site_runtime import get_running_settings
from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.core.assumptions import Assumptions
from local_cloud.tenant.core.profiles import PROFILES, Profile
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.environments.environment import LinkStatus, SimulatedEnvironment
from local_cloud.tenant.environments.migration import find_flows_on_microsoft_key
from local_cloud.tenant.environments.power_platform import PowerPlatform
from local_cloud.tenant.flows.lifecycle import read_current_variables
from local_cloud.tenant.flows.trigger_urls import build_callback
from local_cloud.tenant.seed.tenant import seed
from tests.local_cloud.tenant.tenant_world import (
    ENVIRONMENT,
    GROUP,
    HTTP_FLOW,
    MAKER,
    POLICY_ID,
    SEED,
    build_client_data,
    build_definition,
    build_http_action,
)

CALLER = "d0000000-0000-4000-8000-000000000001"
OWN_HOST = "https://e00000000000400080000000000000.01.environment.api.powerplatform.com:443"
SITE = f"{GROUP}/providers/Microsoft.Web/sites/shop"
EASED = {"my_flows_have_rows": True, "report_page": 2}


def copy_description() -> dict[str, Any]:
    return copy.deepcopy(SEED)


def build_tenant(described: dict[str, Any]) -> tuple[Tenant, SimulatedEnvironment]:
    tenant = Tenant()
    seed(tenant, described)
    return tenant, tenant.get_part(PowerPlatform).environments[ENVIRONMENT]


def get_assumptions(tenant: Tenant) -> Assumptions:
    return tenant.get_part(PowerPlatform).assumptions


def test_trigger_url_placeholders_are_replaced_everywhere() -> None:
    described = copy_description()
    name = f"{{{{trigger_url:{HTTP_FLOW}}}}}"
    percent = name.replace("}}", "|percent}}")
    escaped = build_client_data(
        build_definition({"type": "Recurrence"}, build_http_action("URL"))
    ).replace("URL", name.replace("}}", "|json}}"))
    described["environments"][0]["flows"].append(
        {
            "workflowEntityId": CALLER,
            "displayName": "Caller",
            "owner": MAKER,
            "clientData": escaped,
        }
    )
    described["azure"]["sites"] = [{"id": SITE, "appSettings": {"URL": name, "ENCODED": percent}}]

    tenant, environment = build_tenant(described)

    url = build_callback(environment, environment.workflows[HTTP_FLOW])["value"]
    settings = get_running_settings(tenant.get_part(Azure), SITE, tenant.clock.now())
    saved = environment.workflows[CALLER].client_data
    assert settings["URL"] == url
    assert unquote(settings["ENCODED"]) == url
    assert "\\u0026sig=" in saved
    assert url in json.dumps(json.loads(saved))
    assert read_current_variables(environment)["cr1_ordersurl"] == url


def test_trigger_url_of_a_missing_flow_raises_an_error() -> None:
    described = copy_description()
    described["environments"][0]["serviceEndpoints"][0]["url"] = "{{trigger_url:nothing}}"

    with pytest.raises(KeyError):
        build_tenant(described)


def test_environment_of_the_seed_may_be_linked_long_ago() -> None:
    described = copy_description()
    described["environments"][0]["policy"] = POLICY_ID

    tenant, environment = build_tenant(described)

    stuck = find_flows_on_microsoft_key(
        tenant.get_part(PowerPlatform), environment, tenant.clock.now(), only_stuck=False
    )
    assert environment.policy is not None
    assert environment.policy.status == LinkStatus.LINKED
    assert not environment.is_migrating(tenant.clock.now())
    assert {flow.display_name for flow in stuck} == {"Receive order", "Parent", "Tenant only"}


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("classic", "https://prod-24.westeurope.logic.azure.com:443/workflows/"),
        ("environment", f"{OWN_HOST}/powerautomate/automations/direct/workflows/"),
        ("capacity_unit", f"{OWN_HOST}/powerautomate/automations/direct/cu/24/workflows/"),
    ],
)
def test_trigger_url_has_the_format_of_its_flow(form: str, start: str) -> None:
    described = copy_description()
    described["environments"][0]["flows"][0]["urlForm"] = form

    _, environment = build_tenant(described)

    url = build_callback(environment, environment.workflows[HTTP_FLOW])["value"]
    assert url.startswith(start)
    assert "&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=" in url


def test_past_runs_of_the_seed_have_their_outcome() -> None:
    """The app reads past runs to check that an original has no calls."""
    described = copy_description()
    described["environments"][0]["flows"][0]["runs"] = [
        {"secondsAgo": 7200, "seconds": 10, "status": "Failed"},
        {"secondsAgo": 60, "seconds": 3600},
    ]

    tenant, environment = build_tenant(described)

    now = tenant.clock.now()
    statuses = [run.compute_status(now) for run in environment.workflows[HTTP_FLOW].runs]
    assert statuses == ["Failed", "Running"]


def test_client_data_in_text_form_is_kept_byte_for_byte() -> None:
    """After a rollback, a definition is compared with this text byte by byte."""
    text = build_client_data(build_definition({"type": "Recurrence"})).replace(", ", " ,\t ")
    described = copy_description()
    flow = {"workflowEntityId": CALLER, "displayName": "Odd", "owner": MAKER, "clientData": text}
    described["environments"][0]["flows"].append(flow)

    _, environment = build_tenant(described)

    assert environment.workflows[CALLER].client_data == text


@pytest.mark.parametrize(
    "change",
    [
        {"assumptions": {"unheard_of": 1}},
        {"faults": [{"route": "*", "kind": "explode"}]},
        {"directory": {"managedIdentity": "nobody"}},
        {"environments": [{"displayName": "without an id"}]},
        {"environments": [{"id": "x", "policy": "/no/such/policy"}]},
    ],
)
def test_invalid_seed_is_rejected(change: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        seed(Tenant(), change)


def test_assumptions_of_a_seed_override_its_profile() -> None:
    documented, _ = build_tenant(copy_description() | {"assumptions": {}})
    adversarial, _ = build_tenant(
        copy_description() | {"assumptions": {}, "profile": "adversarial"}
    )
    eased, _ = build_tenant(copy_description() | {"assumptions": EASED, "profile": "adversarial"})

    assumed = {
        name: getattr(get_assumptions(adversarial), name) for name in PROFILES[Profile.ADVERSARIAL]
    }
    assert assumed == {**PROFILES[Profile.ADVERSARIAL], "global_flow_host_refuses": {"europe"}}
    assert get_assumptions(documented) == Assumptions()
    assert all(getattr(Assumptions(), name) != value for name, value in assumed.items())
    assert get_assumptions(eased).my_flows_have_rows
    assert get_assumptions(eased).report_page == 2
    assert get_assumptions(eased).older_host_shapes_refused


def test_unknown_profile_is_rejected() -> None:
    with pytest.raises(ValueError, match="feered"):
        build_tenant(copy_description() | {"profile": "feered"})
