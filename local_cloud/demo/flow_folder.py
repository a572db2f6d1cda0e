"""Build environments of the demo's tenant from a folder of exported flows.

Exports contain no connections and no URLs. Each connection that a flow names is created and belongs
to the maker. A flow whose workflow id already exists is added to another environment, because one
environment cannot contain an id twice. Logic Apps become Logic Apps of the tenant.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmkflow.flow_files import FlowFile, read_flow_files
from local_cloud.demo.definitions import derive_id
from local_cloud.demo.scope import GROUP
from local_cloud.demo.tenant import MAKER, build_environment_seed
from local_cloud.tenant.environments.flow_facts import (
    FlowFacts,
    InvalidDefinitionError,
    read_facts,
)
from shared.domain.definitions.flow_definition import DefinitionFormat, find_definition_place
from shared.domain.definitions.json_values import mapping_at

type Json = dict[str, Any]

_APIS = "/providers/Microsoft.PowerApps/apis/"


@dataclass(slots=True, kw_only=True)
class ImportedEnvironment:
    number: int
    #: By workflow id, as local_cloud/tenant/README.md describes flows.
    flows: dict[str, Json] = field(default_factory=dict)
    #: Connection reference → connector, and connection → connector.
    references: dict[str, str] = field(default_factory=dict)
    connections: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return derive_id("environment", "imported", str(self.number))

    @property
    def title(self) -> str:
        return f"Imported {self.number}"

    def to_seed(self) -> Json:
        seed = build_environment_seed(self.id, self.title, f"contoso-imported-{self.number}")
        made = {name: f"{connector}-imported" for name, connector in self.references.items()}
        connections = self.connections | {made[n]: c for n, c in self.references.items()}
        return seed | {
            "flows": list(self.flows.values()),
            "connectionReferences": [
                {
                    "connectionreferencelogicalname": name,
                    "connectionreferencedisplayname": name,
                    "connectorid": _APIS + connector,
                    "connectionid": made[name],
                }
                for name, connector in self.references.items()
            ],
            "connections": [
                {"name": name, "api": connector, "owner": MAKER}
                for name, connector in connections.items()
            ],
        }

    def add(self, workflow_id: str, flow: Json, facts: FlowFacts) -> None:
        self.flows[workflow_id] = flow
        for use in facts.connections:
            if use.logical_name:
                self.references[use.logical_name] = use.api
            elif use.connection_name:
                self.connections[use.connection_name] = use.api


@dataclass(slots=True, kw_only=True)
class ImportedFlows:
    environments: list[ImportedEnvironment] = field(default_factory=list)
    logic_apps: list[Json] = field(default_factory=list)
    #: Files that the platform would not accept as a flow: path and reason.
    refused: list[tuple[str, str]] = field(default_factory=list)

    @property
    def flows(self) -> int:
        return sum(len(environment.flows) for environment in self.environments)

    def add_to(self, tenant: Json) -> Json:
        environments = [each.to_seed() for each in self.environments]
        azure = tenant["azure"] | {
            "resources": [*tenant["azure"].get("resources", ()), *self.logic_apps]
        }
        return tenant | {
            "environments": [*tenant["environments"], *environments],
            "azure": azure,
        }


def read_folders(paths: Iterable[Path], *, hold_all: bool) -> ImportedFlows:
    """Read all exported flows in these files and folders.

    With `hold_all`, the platform keeps each flow on Microsoft's key, whatever the flow contains.
    """
    found = ImportedFlows()
    for file in read_flow_files(paths):
        if file.skipped:
            continue
        if file.flow is None:
            found.refused.append((file.path, file.problem or "unreadable"))
        elif file.flow.definition.format is DefinitionFormat.LOGIC_APP:
            found.logic_apps.append(_build_logic_app(file, len(found.logic_apps) + 1))
        else:
            _add_flow(found, file, file.flow.resource, hold_all=hold_all)
    return found


def _add_flow(
    found: ImportedFlows, file: FlowFile, resource: Mapping[str, object], *, hold_all: bool
) -> None:
    properties = _read_properties(resource)
    workflow_id = file.workflow_id or derive_id("imported", file.path)
    flow = {
        "workflowEntityId": workflow_id,
        "displayName": file.name or Path(file.path).stem,
        "owner": MAKER,
        "heldBack": hold_all,
        "clientData": {"properties": properties, "schemaVersion": "1.0.0.0"},
    }
    try:
        facts = read_facts(properties)
    except (InvalidDefinitionError, KeyError, TypeError, AttributeError) as error:
        found.refused.append((file.path, f"the platform would not save it: {error!r}"))
        return
    for environment in found.environments:
        if workflow_id not in environment.flows:
            environment.add(workflow_id, flow, facts)
            return
    environment = ImportedEnvironment(number=len(found.environments) + 1)
    environment.add(workflow_id, flow, facts)
    found.environments.append(environment)


def _read_properties(resource: Mapping[str, object]) -> Json:
    place = find_definition_place(resource) or ()
    around = mapping_at(resource, *place[:-1])
    references = around.get("connectionReferences")
    return {
        "connectionReferences": references if isinstance(references, dict) else {},
        "definition": dict(mapping_at(resource, *place)),
    }


def _build_logic_app(file: FlowFile, number: int) -> Json:
    assert file.flow is not None
    properties = _read_properties(file.flow.resource)
    return {
        "id": f"{GROUP}/Microsoft.Logic/workflows/imported-{number}",
        "type": "Microsoft.Logic/workflows",
        "location": "westeurope",
        "properties": {"state": "Enabled", "definition": properties["definition"]},
    }
