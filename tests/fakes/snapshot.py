"""Compare the tenant before a remediation with the tenant after its rollback."""

import json
from dataclasses import dataclass

from tests.fakes.tenant import FakeFlow
from tests.fakes.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The content of all callers and flows at one time: a text for each, by a readable name."""

    texts: dict[str, str]
    #: Which of the flows there are.
    flows: frozenset[str]


def take_snapshot(world: World) -> Snapshot:
    texts: dict[str, str] = {}
    for flow in world.list_flows():
        texts |= _list_flow_texts(flow)
    for environment in world.environments.values():
        for variable in environment.variables.values():
            texts[f"variable {variable.schema_name}"] = f"{variable.value}|{variable.default_value}"
        for table, rows in environment.rows.items():
            texts |= {f"row {table} {one.id}": json.dumps(one.values) for one in rows.values()}
    for site in world.sites.values():
        texts |= {f"setting {site.name}/{key}": value for key, value in site.settings.items()}
        texts |= {
            f"connection string {site.name}/{key}": value
            for key, value in site.connection_strings.items()
        }
    texts |= {f"file {site} {path}": one.text for (site, path), one in world.site_files.items()}
    for key_value in world.key_values.values():
        texts[f"key {key_value.key}"] = f"{key_value.value}|{key_value.tags}"
    for path, resource in world.resources.items():
        content = {key: value for key, value in resource.items() if key != "etag"}
        texts[f"resource {path}"] = json.dumps(content, sort_keys=True)
    for (vault_url, name), secret in world.secrets.items():
        described = f"{secret.value}|{secret.content_type}|{sorted(secret.tags.items())}"
        texts[f"secret {vault_url}{name}"] = described
    return Snapshot(texts=texts, flows=frozenset(flow.workflow_id for flow in world.list_flows()))


def find_differences(before: Snapshot, world: World) -> list[str]:
    """Return the names of the items whose content is not exactly as before.

    New flows may exist if they are off.
    """
    now = take_snapshot(world)
    new = {
        flow.workflow_id: flow
        for flow in world.list_flows()
        if flow.workflow_id not in before.flows
    }
    changed = [name for name, text in before.texts.items() if now.texts.get(name) != text]
    extra = [
        name
        for name in now.texts.keys() - before.texts.keys()
        if not name.startswith("flow ") or name.split()[1] not in new
    ]
    on = [f"flow {flow.workflow_id} is on" for flow in new.values() if flow.is_on]
    return sorted(changed + extra + on)


def _list_flow_texts(flow: FakeFlow) -> dict[str, str]:
    about = f"flow {flow.workflow_id}"
    return {
        f"{about} clientdata": flow.client_data,
        f"{about} name": flow.name,
        f"{about} description": flow.description,
        f"{about} state": flow.state,
        f"{about} owner": flow.owner_id,
        f"{about} co-owners": str(sorted(flow.co_owners.items())),
        f"{about} shares": str(sorted((str(who), sorted(r)) for who, r in flow.shares.items())),
        f"{about} variables": str(
            sorted(item for item in flow.variables.items() if item[0] in flow.client_data)
        ),
    }
