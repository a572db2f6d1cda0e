"""What `azd up` deploys: parses, is formatted, and has the queues and alerts the app counts on.

Types and API versions are checked by Microsoft's compiler only, which `make infra` runs; hence
plain resources, no registry modules.
"""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from shared import services
from tests.telemetry import log_alerts
from tests.unit.bicep_source import (
    FILES,
    INFRA,
    PARSER,
    ROOT,
    member,
    members,
    nodes,
    parameters,
    properties_of,
    resources,
    strings,
    text,
    tree,
    variable,
)

QUEUES = {
    services.KEY_EVENTS,
    services.POLICY_EVENTS,
    services.ENVIRONMENT_JOBS,
    services.FLOW_JOBS,
    services.PARKED,
}
HOST = json.loads((ROOT / "host.json").read_text())


# --- the language ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_is_bicep(path: Path) -> None:
    """As the grammar of tree-sitter reads it."""
    assert not PARSER.parse(path.read_bytes()).root_node.has_error


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_is_laid_out_as_the_formatter_does(path: Path) -> None:
    """What can be held without `bicep format`: lines, indents, loops on lines of their own."""
    source = path.read_text()
    lines = source.splitlines()
    code = [line for line in lines if not line.startswith(("//", "@description("))]

    assert source.endswith("\n")
    assert not source.endswith("\n\n")
    assert [line for line in lines if line != line.rstrip() or "\t" in line] == []
    assert [line for line in code if len(line) > 120] == []
    assert [line for line in lines if (len(line) - len(line.lstrip(" "))) % 2] == []
    assert [line for line, after in pairwise(lines) if not line and not after] == []
    assert [line for line in code if re.search(r"\[for .*[{(\[]$", line)] == []


def test_every_module_is_a_file_of_ours() -> None:
    """Nothing comes from a registry, and no file is left over."""
    named = {strings(module)[0] for module in nodes(tree("main.bicep"), "module_declaration")}

    imported = {INFRA / "main.bicep", INFRA / "modules/types.bicep"}
    assert {INFRA / name for name in named} == set(FILES) - imported


def test_every_parameter_of_a_module_is_given_and_known() -> None:
    """Bicep would find it, but not without Azure's tools."""
    for module in nodes(tree("main.bicep"), "module_declaration"):
        path = strings(module)[0]
        wanted = {name for name, has_default in parameters(path).items() if not has_default}

        assert set(members(member(module, "params"))) == wanted, path


def test_every_parameter_is_used() -> None:
    """One that leads nowhere is a promise to whoever sets it."""
    for path in FILES:
        source = path.read_text()
        for name in parameters(str(path.relative_to(INFRA))):
            assert len(re.findall(rf"\b{name}\b", source)) > 1, (path.name, name)


def test_every_parameter_of_the_azd_environment_exists() -> None:
    """And each that has no default is filled in."""
    declared = parameters("main.bicep")
    given = set(json.loads((INFRA / "main.parameters.json").read_text())["parameters"])

    assert given == set(declared)


def test_nothing_has_the_name_of_a_secret() -> None:
    """Parameters hold where a secret lies; the linter wants `@secure()` on what is one."""
    for path in FILES:
        for name in parameters(str(path.relative_to(INFRA))):
            assert not re.search("secret|password|key$", name, re.IGNORECASE), (path.name, name)


def test_settings_that_may_be_secrets_are_not_kept_by_deployments() -> None:
    """A webhook address is one: Azure records the value of each parameter that is not secure."""
    for path in ("main.bicep", "modules/function-app.bicep"):
        [declared] = [
            one
            for one in nodes(tree(path), "parameter_declaration")
            if text(one.children[1]) == "tunables"
        ]
        before = (INFRA / path).read_text().encode()[: declared.start_byte].decode()
        decorators = before.rpartition("\n\n")[2]
        assert decorators.startswith("@secure()\n"), path


def test_a_name_is_long_enough_whatever_its_parts_are() -> None:
    """A storage account's has three characters at least, which the compiler wants to see."""
    assert "@minLength(13)\nparam token string" in (INFRA / "modules/state.bicep").read_text()
    assert "\nvar token = uniqueString(" in (INFRA / "main.bicep").read_text()


# --- the app --------------------------------------------------------------------------------------


def test_azd_finds_the_app_by_its_tag_and_nothing_else() -> None:
    """One resource alone has the name of the service of azure.yaml: with two, azd stops."""
    services_section = (ROOT / "azure.yaml").read_text().partition("services:\n")[2]
    name = services_section.strip().partition(":")[0]
    tagged = [path.name for path in FILES if "azd-service-name" in path.read_text()]
    (site,) = resources("Microsoft.Web/sites", "modules/function-app.bicep")

    assert tagged == ["function-app.bicep"]
    assert text(member(site, "tags")) == f"union(tags, {{ 'azd-service-name': '{name}' }})"


def test_nothing_is_set_that_flex_consumption_refuses() -> None:
    """No compiler knows: the platform says so when it is deployed."""
    (site,) = resources("Microsoft.Web/sites", "modules/function-app.bicep")
    refused = {"ftpsState", "linuxFxVersion", "alwaysOn", "FUNCTIONS_WORKER_RUNTIME"}
    refused |= {"WEBSITE_RUN_FROM_PACKAGE", "SCM_DO_BUILD_DURING_DEPLOYMENT", "ENABLE_ORYX_BUILD"}
    source = (INFRA / "modules/function-app.bicep").read_text()

    assert "FlexConsumption" in source
    assert members(member(site, "siteConfig")) == {"minTlsVersion": "1.2"}
    assert [name for name in refused if name in source] == []


# --- queues ---------------------------------------------------------------------------------------


def test_the_queues_are_those_of_the_app_and_of_the_local_service_bus() -> None:
    """By name and by every property."""
    path = "modules/messaging.bicep"
    events = strings(variable(path, "eventQueueNames"))
    deployed = {*events, *strings(variable(path, "jobQueueNames"))}
    properties = properties_of("Microsoft.ServiceBus/namespaces/queues", path)
    emulated = json.loads((ROOT / "local_cloud/service_bus/queues.json").read_text())
    (namespace,) = emulated["UserConfig"]["Namespaces"]

    assert events == [services.KEY_EVENTS, services.POLICY_EVENTS], "the outputs count on the order"
    assert deployed == QUEUES == {queue["Name"] for queue in namespace["Queues"]}
    for queue in namespace["Queues"]:
        local = {
            name[0].lower() + name[1:]: str(value).lower() if isinstance(value, bool) else value
            for name, value in queue["Properties"].items()
        }
        assert {name: str(value) for name, value in local.items()} == properties


def test_a_message_is_held_for_as_long_as_its_function_may_run() -> None:
    """Otherwise another instance gets it while the first one still works on it."""
    renewed = HOST["extensions"]["serviceBus"]["maxAutoLockRenewalDuration"]

    assert re.fullmatch(r"\d\d:\d\d:\d\d", renewed)
    assert renewed >= HOST["functionTimeout"]


# --- alerts ---------------------------------------------------------------------------------------


def test_sampling_drops_nothing_that_an_alert_looks_at() -> None:
    """Each table of the queries is a type of telemetry that is never sampled."""
    kinds = {"traces": "Trace", "exceptions": "Exception", "requests": "Request"}
    sampling = HOST["logging"]["applicationInsights"]["samplingSettings"]
    kept = set(sampling["excludedTypes"].split(";"))
    words = set(re.findall(r"\w+", " ".join(one.asks for one in log_alerts().values())))

    assert kept == {kind for table, kind in kinds.items() if table in words}
