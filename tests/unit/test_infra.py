"""What `azd up` deploys: parses, sets what the app needs, and has the queues the app counts on.

Types and API versions cannot be checked without Azure; hence plain resources, no registry modules.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tree_sitter import Language, Node, Parser
from tree_sitter_bicep import language

from shared import services
from shared.settings import Settings

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
FILES = sorted(INFRA.rglob("*.bicep"))
PARSER = Parser(Language(language()))
QUEUES = {
    services.KEY_EVENTS,
    services.POLICY_EVENTS,
    services.ENVIRONMENT_JOBS,
    services.FLOW_JOBS,
    services.PARKED,
}


def nodes(node: Node, kind: str) -> Iterator[Node]:
    """Yield every node of a kind below one."""
    if node.type == kind:
        yield node
    for child in node.children:
        yield from nodes(child, kind)


def tree(path: str) -> Node:
    """Return the syntax tree of a file of infra/."""
    return PARSER.parse((INFRA / path).read_bytes()).root_node


def text(node: Node) -> str:
    """Return the source of a node, without quotes."""
    assert node.text is not None
    return node.text.decode().strip("'")


def properties_of(resource_type: str, path: str) -> dict[str, str]:
    """Return the source of each member of `properties` of the resource with this type."""
    for resource in nodes(tree(path), "resource_declaration"):
        kind = text(next(nodes(resource, "string"))).partition("@")[0]
        if kind == resource_type:
            for member in nodes(resource, "object_property"):
                if text(member.children[0]) == "properties":
                    return members(member.children[-1])
    raise AssertionError(f"{path} has no {resource_type}")


def members(node: Node) -> dict[str, str]:
    """Return the source of each member of an object."""
    pairs = [child for child in node.children if child.type == "object_property"]
    return {text(pair.children[0]): text(pair.children[-1]) for pair in pairs}


def app_settings() -> dict[str, str]:
    """Return the application settings that the deployment makes."""
    return properties_of("Microsoft.Web/sites/config", "modules/function-app.bicep")


def sample_settings() -> dict[str, str]:
    """Return the settings that a local host starts with."""
    document = json.loads((ROOT / "local.settings.sample.json").read_text())
    values: dict[str, str] = document["Values"]
    return values


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_is_bicep(path: Path) -> None:
    """As the grammar of tree-sitter reads it."""
    assert not PARSER.parse(path.read_bytes()).root_node.has_error


def test_every_module_is_a_file_of_ours() -> None:
    """Nothing comes from a registry, and no file is left over."""
    named = {
        text(next(nodes(module, "string")))
        for module in nodes(tree("main.bicep"), "module_declaration")
    }

    assert {INFRA / name for name in named} == set(FILES) - {INFRA / "main.bicep"}


def test_every_parameter_of_a_module_is_given_and_known() -> None:
    """Bicep would find it, but not without Azure's tools."""
    for module in nodes(tree("main.bicep"), "module_declaration"):
        path = text(next(nodes(module, "string")))
        wanted = {
            text(declared.children[1])
            for declared in nodes(tree(path), "parameter_declaration")
            if "=" not in text(declared)
        }
        given = next(
            members(member.children[-1])
            for member in nodes(module, "object_property")
            if text(member.children[0]) == "params"
        )
        assert set(given) == wanted, path


def test_every_parameter_of_the_azd_environment_exists() -> None:
    """And each that has no default is filled in."""
    declared = {
        text(one.children[1]): "=" in text(one)
        for one in nodes(tree("main.bicep"), "parameter_declaration")
    }
    document = json.loads((INFRA / "main.parameters.json").read_text())
    given = set(document["parameters"])

    assert given <= set(declared)
    assert {name for name, has_default in declared.items() if not has_default} <= given


def test_every_setting_that_the_app_cannot_do_without_is_deployed() -> None:
    """Those without a default, those that bootstrap insists on, the timers' schedules."""
    required = {
        f"CMK_{name.upper()}"
        for name, field in Settings.model_fields.items()
        if field.is_required()
    }
    source = "".join(path.read_text() for path in (ROOT / "functions").glob("*.py"))
    schedules = set(re.findall(r'schedule="%(\w+)%"', source))

    assert schedules == {name for name in sample_settings() if name.endswith("_SCHEDULE")}
    deployed = set(app_settings())
    assert required | schedules <= deployed
    assert {
        "CMK_SUBSCRIPTION_IDS",
        "CMK_STORAGE_ACCOUNT",
        "CMK_CLIENT_ID",
        "ServiceBusConnection__fullyQualifiedNamespace",
    } <= deployed


def test_every_setting_of_ours_that_is_deployed_exists() -> None:
    """A slip of the pen would leave a default in force."""
    known = {f"CMK_{name.upper()}" for name in Settings.model_fields}
    ours = {name for name in app_settings() if name.startswith("CMK_")}

    assert {name for name in ours - known if not name.endswith("_SCHEDULE")} == set()


def test_the_schedules_are_those_of_the_sample() -> None:
    """local.settings.sample.json and the deployment agree."""
    sample = sample_settings()
    deployed = app_settings()

    schedules = {name: value for name, value in sample.items() if name.endswith("_SCHEDULE")}
    assert {name: deployed[name] for name in schedules} == schedules


def test_the_queues_are_those_of_the_app_and_of_the_local_service_bus() -> None:
    """By name and by every property."""
    (names,) = (
        variable
        for variable in nodes(tree("modules/messaging.bicep"), "variable_declaration")
        if text(variable.children[1]) == "queueNames"
    )
    deployed = {text(one) for one in nodes(names, "string")}
    properties = properties_of("Microsoft.ServiceBus/namespaces/queues", "modules/messaging.bicep")
    emulated = json.loads((ROOT / "local_cloud/service_bus/queues.json").read_text())
    (namespace,) = emulated["UserConfig"]["Namespaces"]

    assert deployed == QUEUES == {queue["Name"] for queue in namespace["Queues"]}
    for queue in namespace["Queues"]:
        local = {
            name[0].lower() + name[1:]: str(value).lower() if isinstance(value, bool) else value
            for name, value in queue["Properties"].items()
        }
        assert {name: str(value) for name, value in local.items()} == properties


def test_no_account_key_and_no_connection_string_works() -> None:
    """Everything is reached with an identity."""
    storage = properties_of("Microsoft.Storage/storageAccounts", "modules/state.bicep")
    bus = properties_of("Microsoft.ServiceBus/namespaces", "modules/messaging.bicep")

    assert storage["allowSharedKeyAccess"] == "false"
    assert storage["allowBlobPublicAccess"] == "false"
    assert bus["disableLocalAuth"] == "true"


def test_azd_finds_the_app_by_its_tag() -> None:
    """The service of azure.yaml and the tag of the site have one name."""
    services_section = (ROOT / "azure.yaml").read_text().partition("services:\n")[2]
    name = services_section.strip().partition(":")[0]

    assert f"'azd-service-name': '{name}'" in (INFRA / "main.bicep").read_text()


def test_the_package_leaves_out_what_the_app_does_not_need() -> None:
    """Whatever the repository holds is part of the app, or named in .funcignore."""
    ignored = (ROOT / ".funcignore").read_text().split()
    needed = {"function_app.py", "functions", "shared", "host.json"}
    needed |= {"requirements.txt", "constraints.txt"}
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    top = {Path(line).parts[0] for line in listed.stdout.splitlines()}
    kept = {one for one in top if not any(Path(one).match(pattern) for pattern in ignored)}

    assert needed <= kept
    assert kept - needed <= {"LICENSE", "azure.yaml", ".funcignore"}
