"""Test the template of `infra/` with its snapshots."""

import json
import re

from shared import queues
from tests.telemetry import read_log_alerts
from tests.unit.deployed import (
    FILES,
    INFRA,
    ROOT,
    Resource,
    find_resource,
    find_resources,
    read_predicted_resources,
)

QUEUES = {
    queues.KEY_EVENTS,
    queues.POLICY_EVENTS,
    queues.ENVIRONMENT_JOBS,
    queues.FLOW_JOBS,
    queues.POISON,
}
HOST = json.loads((ROOT / "host.json").read_text())


# --- files and parameters -------------------------------------------------------------------------


def test_every_module_is_a_file_of_the_repository() -> None:
    named = {
        (path.parent / name).resolve()
        for path in FILES
        for name in re.findall(r"^(?:module \w+|import .* from) '(.+?)'", path.read_text(), re.M)
    }

    assert named == set(FILES) - {INFRA / "main.bicep"}


def test_every_parameter_is_set_by_azd_and_by_the_snapshot_of_everything() -> None:
    """A reviewer sees the effect of a parameter only in a snapshot that sets it."""
    declared = set(re.findall(r"^param (\w+)", (INFRA / "main.bicep").read_text(), re.M))
    by_azd = set(json.loads((INFRA / "main.parameters.json").read_text())["parameters"])
    everything = (INFRA / "snapshots" / "everything.bicepparam").read_text()

    assert by_azd == declared
    assert set(re.findall(r"^param (\w+)", everything, re.M)) == declared


# --- the app --------------------------------------------------------------------------------------


def test_only_the_app_has_the_azd_service_tag() -> None:
    """azd stops if two resources are tagged with the name of the service in azure.yaml."""
    services_section = (ROOT / "azure.yaml").read_text().partition("services:\n")[2]
    name = services_section.strip().partition(":")[0]
    tagged = {
        one["type"]: one["tags"]["azd-service-name"]
        for one in read_predicted_resources()
        if "azd-service-name" in one.get("tags", {})
    }

    assert tagged == {"Microsoft.Web/sites": name}


def test_template_sets_no_setting_that_flex_consumption_rejects() -> None:
    """The compiler accepts these settings, but Azure rejects them at deployment."""
    site = find_resource("Microsoft.Web/sites", "func-")
    refused = {"ftpsState", "linuxFxVersion", "alwaysOn", "FUNCTIONS_WORKER_RUNTIME"}
    refused |= {"WEBSITE_RUN_FROM_PACKAGE", "SCM_DO_BUILD_DURING_DEPLOYMENT", "ENABLE_ORYX_BUILD"}
    source = (INFRA / "modules/function-app.bicep").read_text()

    assert find_resource("Microsoft.Web/serverfarms", "plan-")["sku"]["tier"] == "FlexConsumption"
    assert site["properties"]["siteConfig"] == {"minTlsVersion": "1.2"}
    assert [name for name in refused if name in source] == []


# --- queues ---------------------------------------------------------------------------------------


def test_deployed_queues_equal_those_of_the_app_and_of_the_local_service_bus() -> None:
    deployed = {
        one["name"].partition("/")[2]: one["properties"]
        for one in find_resources("Microsoft.ServiceBus/namespaces/queues")
    }
    emulated = json.loads((ROOT / "local_cloud/service_bus/queues.json").read_text())
    (namespace,) = emulated["UserConfig"]["Namespaces"]

    assert set(deployed) == QUEUES
    assert deployed == {
        queue["Name"]: {
            name[0].lower() + name[1:]: value for name, value in queue["Properties"].items()
        }
        for queue in namespace["Queues"]
    }


def test_message_lock_lasts_as_long_as_the_function_timeout() -> None:
    """With a shorter lock, a second instance could receive the message before the first has
    processed it.
    """
    renewed = HOST["extensions"]["serviceBus"]["maxAutoLockRenewalDuration"]

    assert re.fullmatch(r"\d\d:\d\d:\d\d", renewed)
    assert renewed >= HOST["functionTimeout"]


# --- alerts ---------------------------------------------------------------------------------------


def list_alert_rules() -> list[Resource]:
    kinds = ("scheduledQueryRules", "metricAlerts")
    return [one for kind in kinds for one in find_resources(f"Microsoft.Insights/{kind}")]


def test_alert_contains_its_cause_and_a_runbook_link() -> None:
    """The rule's name becomes the subject of an e-mail, and its description the text."""
    runbook = (ROOT / "docs/runbook.md").read_text()

    for rule in list_alert_rules():
        described = rule["properties"]["description"].replace("''", "'")
        subject = re.fullmatch(r"cmkflow - [a-z0-9 -]+ \(([a-z-]+)-\w+\)", rule["name"])
        assert subject, rule["name"]
        assert f"`{subject[1]}`" in runbook
        assert "/api/dashboard" in described
        entry = re.search(r"Steps: docs/runbook.md, ([^.]+)\.", described)
        assert entry, described
        assert f"\n## {entry[1]}\n" in runbook
        assert described.count(". ") >= 2
    assert len(list_alert_rules()) == 8


def test_telemetry_of_alert_queries_is_never_sampled() -> None:
    """An alert could miss telemetry that was left out by sampling."""
    kinds = {"traces": "Trace", "exceptions": "Exception", "requests": "Request"}
    sampling = HOST["logging"]["applicationInsights"]["samplingSettings"]
    kept = set(sampling["excludedTypes"].split(";"))
    words = set(re.findall(r"\w+", " ".join(one.asks for one in read_log_alerts().values())))

    assert kept == {kind for table, kind in kinds.items() if table in words}
