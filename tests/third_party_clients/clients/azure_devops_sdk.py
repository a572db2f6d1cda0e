"""Use Microsoft's SDK for Azure DevOps, signed in as a managed identity."""

from azure.devops.connection import Connection
from azure.devops.exceptions import AzureDevOpsServiceError
from azure.devops.v7_1.service_hooks.models import Subscription
from azure.devops.v7_1.task_agent.models import (
    ProjectReference,
    VariableGroupParameters,
    VariableGroupProjectReference,
    VariableValue,
)
from azure.identity import ManagedIdentityCredential
from caller_places import URL, run
from msrest.authentication import BasicTokenAuthentication

TOKEN = ManagedIdentityCredential().get_token("499b84ac-1321-427f-aa17-267ca6975798/.default").token
CONNECTION = Connection(
    base_url="https://dev.azure.com/contoso",
    creds=BasicTokenAuthentication({"access_token": TOKEN}),
)
CLIENTS = CONNECTION.clients_v7_1


def find_project() -> str:
    [project] = CLIENTS.get_core_client().get_projects()
    return str(project.id)


def create_hook() -> str:
    hook = Subscription(
        publisher_id="tfs",
        event_type="build.complete",
        resource_version="1.0",
        consumer_id="webHooks",
        consumer_action_id="httpRequest",
        publisher_inputs={"projectId": find_project(), "buildStatus": "Failed"},
        consumer_inputs={"url": URL, "resourceDetailsToSend": "all"},
    )
    return str(CLIENTS.get_service_hooks_client().create_subscription(hook).status)


def add_group() -> str:
    project = ProjectReference(id=find_project(), name="Sales")
    reference = VariableGroupProjectReference(name="urls", project_reference=project)
    parameters = VariableGroupParameters(
        name="urls",
        type="Vsts",
        description="x",
        variables={
            "URL": VariableValue(value=URL, is_secret=False),
            "key": VariableValue(value="secret", is_secret=True),
        },
        variable_group_project_references=[reference],
    )
    CLIENTS.get_task_agent_client().add_variable_group(parameters)
    return list_groups()


def replace_hook() -> str:
    """Add an input to the service hook by replacing the hook, and return its inputs."""
    client = CLIENTS.get_service_hooks_client()
    [hook] = client.list_subscriptions()
    hook.consumer_inputs["messagesToSend"] = "none"
    client.replace_subscription(hook, hook.id)
    inputs = client.get_subscription(hook.id).consumer_inputs
    return ", ".join(f"{name} {value}" for name, value in sorted(inputs.items()))


def update_group() -> str:
    """Change the description of the variable group. The request does not contain the secret."""
    client, project = CLIENTS.get_task_agent_client(), find_project()
    [group] = client.get_variable_groups(project)
    parameters = VariableGroupParameters(
        name=group.name,
        type=group.type,
        description="y",
        variables=group.variables,
        variable_group_project_references=group.variable_group_project_references,
    )
    client.update_variable_group(parameters, group.id)
    return str(client.get_variable_group(project, group.id).description)


def add_group_again() -> str:
    try:
        return add_group()
    except AzureDevOpsServiceError as error:
        return f"rejected: {error.message}"


def list_hooks() -> str:
    found = CLIENTS.get_service_hooks_client().list_subscriptions(consumer_id="webHooks")
    return ", ".join(
        f"{one.event_type} {one.consumer_inputs['url']} {one.publisher_inputs['buildStatus']}"
        for one in found
    )


def list_groups() -> str:
    found = CLIENTS.get_task_agent_client().get_variable_groups(find_project())
    return ", ".join(
        f"{group.name} {name} {variable.value}"
        for group in found
        for name, variable in sorted(group.variables.items())
    )


WRITES = {
    "service_hooks.create_subscription": create_hook,
    "service_hooks.replace_subscription": replace_hook,
    "task_agent.add_variable_group": add_group,
    "task_agent.add_variable_group, again": add_group_again,
    "task_agent.update_variable_group": update_group,
}
READS = {
    "core.get_projects": lambda: str(CLIENTS.get_core_client().get_projects()[0].name),
    "service_hooks.list_subscriptions": list_hooks,
    "task_agent.get_variable_groups": list_groups,
}

if __name__ == "__main__":
    run(WRITES, READS, "azure-devops")
