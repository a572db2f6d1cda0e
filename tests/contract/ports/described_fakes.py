from dataclasses import replace
from datetime import timedelta
from typing import Any

from shared.callers.azure_devops import AZURE_DEVOPS
from shared.callers.github import GITHUB
from shared.domain.definitions.connection_reference import ConnectionReference
from shared.domain.keys.key import EnterprisePolicy, KeyVault, KeyVersion, RoleAssignment
from shared.domain.power_apps import CanvasApp
from shared.ports import KeyValue, SiteFile
from tests.contract.ports.described_tenant import OPERATOR
from tests.fakes.builder import Builder
from tests.fakes.flow_service import build_trigger_url, turn_on
from tests.fakes.tenant import (
    FakeConnection,
    FakeEnvironment,
    FakeFlow,
    FakeRow,
    FakeRun,
    FakeSecret,
    FakeSite,
    FakeSolution,
    FakeTeam,
    FakeUser,
    FakeVariable,
)
from tests.fakes.world import World
from tests.local_cloud.tenant.tenant_world import APP, POLICY_ID, build_client_data

type Description = dict[str, Any]

_ENDPOINT = {"isauthvalueset": False, "ismanaged": False}

#: Of `PowerPlatformPlex.WestEurope`, in the list that the local tenant has without a file.
PLEX = {"powerplatformplex.westeurope": ["20.61.88.128/26"]}


def build_world(description: Description) -> World:
    world = World()
    world.oauth_connectors["shared_office365"] = True
    world.service_tags.update(PLEX)
    for described in description["environments"]:
        organization = str(described.get("orgHost", "")).replace(".crm", ".api.crm")
        environment = FakeEnvironment(
            id=described["id"],
            display_name=described["displayName"],
            geography=described.get("location", "europe"),
            dataverse_url=f"https://{organization}" if organization else None,
        )
        world.environments[environment.id] = environment
    main = description["environments"][0]
    _add_people(world, description["directory"], main)
    _Filled(world, main).add_all()
    _add_azure(world, description["azure"])
    for organization in description["azureDevOps"]:
        _add_azure_devops(world, organization)
    for repository in description["github"]["repositories"]:
        _add_github(world, repository)
    return world


def link(world: World, environment: FakeEnvironment) -> None:
    """Apply the enterprise policy to an environment.

    The platform migration of its flows starts later.
    """
    made = Builder(world, environment=environment).apply_key(migrated=False)
    environment.policy = replace(made, policy_id=POLICY_ID.lower())


def migrate(world: World, environment: FakeEnvironment) -> None:
    """Complete the platform migration of all flows that can migrate."""
    Builder(world, environment=environment).migrate()


def build_url(world: World, flow_id: str) -> str:
    [(environment, flow)] = [
        (environment, environment.flows[flow_id])
        for environment in world.environments.values()
        if flow_id in environment.flows
    ]
    return build_trigger_url(environment, flow)


def _add_people(world: World, directory: Description, environment: Description) -> None:
    world.application.entra_id, world.operator.entra_id = APP, OPERATOR
    disabled = {one["id"] for one in environment["members"] if one.get("isDisabled")}
    for person in directory["users"]:
        if person["id"] == OPERATOR:
            continue
        user = FakeUser(
            user_id=world.create_guid(),
            entra_id=person["id"],
            name=person["name"],
            has_premium=person.get("hasPremium", True),
            is_disabled=person["id"] in disabled,
        )
        world.add_user_row(user)
    for team in environment["teams"]:
        is_of_members = team.get("membershiptype", 0) == 0
        entra_id = team.get("azureactivedirectoryobjectid") if is_of_members else None
        world.teams[team["teamid"]] = FakeTeam(
            team_id=team["teamid"], name=team["name"], entra_id=entra_id
        )


class _Filled:
    def __init__(self, world: World, described: Description) -> None:
        self._world = world
        self._described = described
        self._environment = world.environments[described["id"]]

    def add_all(self) -> None:
        for solution in self._described["solutions"]:
            self._add_solution(solution)
        for connection in self._described["connections"]:
            self._add_connection(connection)
        for reference in self._described["connectionReferences"]:
            self._add_reference(reference)
        for flow in self._described["flows"]:
            self._add_flow(flow)
        for variable in self._described["environmentVariables"]:
            self._add_variable(variable)
        for endpoint in self._described["serviceEndpoints"]:
            self._add_row("serviceendpoints", {**_ENDPOINT, **endpoint})
        for table, rows in self._described["rows"].items():
            for row in rows:
                self._add_row(table, row)
        for app in self._described["canvasApps"]:
            self._add_app(app)
        groups = self._described["machineGroups"]
        self._environment.hosted_machine_groups = [
            group["name"] for group in groups if group["managementtype"] == 1
        ]

    def _find_user_id(self, entra_id: str) -> str:
        return self._world.get_user_by_entra_id(entra_id).user_id

    def _add_solution(self, described: Description) -> None:
        solution = FakeSolution(
            solution_id=self._world.create_guid(),
            unique_name=described["uniquename"],
            title=described["friendlyname"],
            is_managed=described.get("ismanaged", False),
        )
        self._environment.solutions[solution.solution_id] = solution

    def _add_connection(self, described: Description) -> None:
        self._environment.connections[described["name"]] = FakeConnection(
            name=described["name"],
            connector=described["api"],
            owner_id=self._find_user_id(described["owner"]),
            shared_with={self._find_user_id(one) for one in described.get("sharedWith", ())},
            error=described.get("error", ""),
        )

    def _add_reference(self, described: Description) -> None:
        name = described["connectionreferencelogicalname"]
        self._environment.connection_references[name] = ConnectionReference(
            reference_id=self._world.create_guid(),
            logical_name=name,
            connector_id=described["connectorid"],
            connection_id=described["connectionid"],
            owner_id=self._world.application.user_id,
        )

    def _add_flow(self, described: Description) -> None:
        world, owner = self._world, self._world.get_user_by_entra_id(described["owner"])
        flow = world.add_flow(
            FakeFlow(
                environment_id=self._environment.id,
                workflow_id=described["workflowEntityId"],
                flow_name=described["workflowEntityId"],
                name=described["displayName"],
                description=described.get("description", ""),
                client_data=build_client_data(described["definition"]),
                owner_id=owner.user_id,
                trigger_url_id=world.create_hex_id(),
                access_key=world.random.randbytes(32),
                created=world.clock.now(),
                in_solution=described.get("inSolution", True),
                co_owners=dict(described.get("coOwners", {})),
            )
        )
        turn_on(world, flow, owner)
        for solution in self._environment.solutions.values():
            if solution.unique_name in described.get("solutions", ()):
                solution.flows.add(flow.workflow_id)
        for run in described.get("runs", ()):
            started = world.clock.now() - timedelta(seconds=run["secondsAgo"])
            flow.runs.append(
                FakeRun(
                    run_id=world.create_guid(),
                    started=started,
                    ends=started + timedelta(seconds=1),
                    trigger_url_id=flow.trigger_url_id,
                )
            )

    def _add_row(self, table: str, described: Description) -> None:
        values = {
            name: _fill_url(self._world, value)
            if isinstance(value, str) and value.startswith("{{")
            else value
            for name, value in described.items()
        }
        row = FakeRow(id=self._world.create_guid(), values=values)
        self._environment.rows.setdefault(table, {})[row.id] = row

    def _add_variable(self, described: Description) -> None:
        variable = FakeVariable(
            definition_id=self._world.create_guid(),
            schema_name=described["schemaName"],
            value_id=self._world.create_guid(),
            value=_fill_url(self._world, described["value"]),
        )
        self._environment.variables[variable.definition_id] = variable

    def _add_app(self, described: Description) -> None:
        flows = frozenset(described.get("flows", ()))
        self._environment.canvas_apps.append(
            CanvasApp(
                name=described["name"],
                display_name=described["displayName"],
                owner=described["owner"],
                flow_ids=flows,
                unknown_reason="" if described.get("hasDocument", True) else "it has no document",
            )
        )


def _fill_url(world: World, text: str) -> str:
    """Return the trigger URL of the flow in a placeholder such as `{{trigger_url:FLOW}}`."""
    flow_id = text.removeprefix("{{trigger_url:").removesuffix("}}")
    return build_url(world, flow_id)


def _add_sites(world: World, azure: Description) -> None:
    for site in azure["sites"]:
        site_id, name = site["id"], site["id"].rpartition("/")[2]
        hosts = tuple(host.lower() for host in site["hostNames"])
        settings = dict(site["appSettings"])
        world.sites[site_id] = FakeSite(
            id=site_id,
            name=name,
            hosts=hosts,
            settings=settings,
            principal_id=site["identity"]["principalId"],
            is_workflow_app="workflowapp" in site.get("kind", ""),
        )
        for path, text in site.get("files", {}).items():
            world.site_files[site_id, path] = SiteFile(text=text, etag="1")
        raw = {"id": site_id, "name": name, "type": "Microsoft.Web/sites"}
        world.resources[site_id.lower()] = raw
        world.resources[f"{site_id}/config/web".lower()] = {"properties": {}}
    for app in azure["containerApps"]:
        raw = {"name": app["id"].rpartition("/")[2], "type": "Microsoft.App/containerApps"}
        world.resources[app["id"].lower()] = {**raw, **app}


def _add_azure_devops(world: World, organization: Description) -> None:
    name = organization["name"]
    world.json_scopes[AZURE_DEVOPS.name] = {name}
    documents = world.json_documents.setdefault(AZURE_DEVOPS.name, {})
    for project in organization["projects"]:
        documents[f"{name}/_apis/projects/{project['id']}"] = project
        for group in organization["variableGroups"]:
            path = f"{name}/{project['id']}/_apis/distributedtask/variablegroups/{group['id']}"
            documents[path] = group
    for hook in organization["hooks"]:
        documents[f"{name}/_apis/hooks/subscriptions/{hook['id']}"] = hook


def _add_github(world: World, repository: Description) -> None:
    world.json_scopes[GITHUB.name] = {repository["name"]}
    documents = world.json_documents.setdefault(GITHUB.name, {})
    start = f"repos/{repository['name']}"
    documents |= {f"{start}/hooks/{one['id']}": one for one in repository["hooks"]}
    for variable in repository["variables"]:
        documents[f"{start}/actions/variables/{variable['name']}"] = variable


def _add_azure(world: World, azure: Description) -> None:
    _add_sites(world, azure)
    for store in azure["configurationStores"]:
        url = f"https://{store['id'].rpartition('/')[2]}.azconfig.io"
        for number, one in enumerate(store["keyValues"]):
            label = one.get("label", "")
            world.key_values[url, one["key"], label] = KeyValue(
                store_url=url,
                key=one["key"],
                label=label,
                value=one["value"],
                etag=str(number),
                content_type=one.get("contentType"),
                tags=one.get("tags", {}),
                is_locked=one.get("locked", False),
            )
    for resource in azure["resources"]:
        named = {"name": resource["id"].rpartition("/")[2], "etag": "W/0", **resource}
        world.resources[resource["id"].lower()] = named
        if "content" in resource["properties"]:
            text = resource["properties"]["content"]
            world.resources[f"{resource['id']}/content".lower()] = {"text": text}
    for policy in azure["policyAssignments"]:
        path = f"providers/Microsoft.Authorization/policyAssignments/{policy['name']}"
        world.policy_assignments[f"{policy['scope']}/{path}"] = policy["condition"]["equals"]
    for vault in azure["vaults"]:
        _add_vault(world, vault)
    for given in azure["roleAssignments"]:
        near = [one for one in azure["vaults"] if one["id"].startswith(given["scope"])]
        near += [one for one in azure["vaults"] if given["scope"].startswith(one["id"])]
        for vault in near:
            who = (vault["id"].lower(), given["principalId"])
            world.roles.setdefault(who, []).append(
                RoleAssignment(
                    role_id=given["roleDefinitionId"].rpartition("/")[2],
                    scope=given["scope"].lower(),
                    is_conditional=False,
                )
            )
    for policy in azure["enterprisePolicies"]:
        encryption = policy["properties"]["encryption"]["keyVault"]
        policy_id = policy["id"].lower()
        world.policies[policy_id] = EnterprisePolicy(
            id=policy_id,
            name=policy["id"].rpartition("/")[2],
            location=policy["location"],
            system_id=f"/regions/{policy['location']}/providers/"
            f"Microsoft.PowerPlatform/enterprisePolicies/{world.create_guid()}",
            encryption_state="Enabled",
            vault_id=encryption["id"].lower(),
            key_name=encryption["key"]["name"],
            key_version=None,
            health="Healthy",
            principal_id=world.create_guid(),
        )


def _add_vault(world: World, vault: Description) -> None:
    vault_id = vault["id"].lower()
    url = f"https://{vault_id.rpartition('/')[2]}.vault.azure.net"
    world.vaults[vault_id] = KeyVault(
        id=vault_id,
        url=url,
        soft_delete=True,
        purge_protection=True,
        uses_rbac=True,
        key_permissions={},
        public_access="Enabled",
        default_action="Allow",
        lets_trusted_services_in=True,
    )
    for key in vault["keys"]:
        ages = sorted(version["createdDaysAgo"] for version in key["versions"])
        world.keys[url, key["name"]] = [_build_key(world, key["name"], age) for age in ages]
    for secret in vault["secrets"]:
        world.secrets[url, secret["name"]] = FakeSecret(
            vault_url=url,
            name=secret["name"],
            versions=[world.create_secret_version(_fill_url(world, secret["value"]))],
            content_type=secret["contentType"],
            tags=dict(secret["tags"]),
        )


def _build_key(world: World, name: str, days: int) -> KeyVersion:
    return KeyVersion(
        name=name,
        version=world.create_hex_id(),
        key_type="RSA",
        size=2048,
        is_enabled=True,
        valid_from=None,
        expires_at=None,
        created_at=world.clock.now() - timedelta(days=days),
        operations=frozenset({"encrypt", "decrypt", "sign", "verify", "wrapkey", "unwrapkey"}),
    )
