"""A part of a Synapse workspace is named; a person changes it."""

from dataclasses import replace

import pytest

from shared.callers.synapse import SynapseCallers
from shared.errors import JobBlocked
from tests.functional.callers.called_tenant import Tenant

KIND = SynapseCallers.kind


async def test_pipeline_is_changed_by_a_person() -> None:
    """A retry reads the place again, and finds the URL until somebody has changed it."""
    tenant = Tenant()
    tenant.builder.synapse_caller(tenant.original)

    [caller] = await tenant.found(KIND)
    content = await tenant.read(caller)
    with pytest.raises(JobBlocked) as raised:
        await tenant.kinds[KIND].write(caller, replace(content, text="{}"))

    assert caller.label == "pipeline nightly0 of the Synapse workspace contoso"
    assert caller.manual_reason == "Change the URL in Synapse Studio, and publish."
    assert "Synapse Studio" in raised.value.fix
    assert tenant.builder.url_of(tenant.original) in content.text


async def test_repository_of_a_workspace_is_named() -> None:
    """A change in the studio alone would be overwritten by the next publish."""
    tenant = Tenant()
    [pipeline] = tenant.builder.synapse_caller(tenant.original)
    workspace = pipeline.partition("/pipelines/")[0].lower()
    repository = {"accountName": "contoso", "repositoryName": "data", "collaborationBranch": "main"}
    tenant.world.resources[workspace] = {
        **tenant.world.resources[workspace],
        "properties": {"workspaceRepositoryConfiguration": repository},
    }

    [caller] = await tenant.found(KIND)

    assert caller.manual_reason == (
        "Change the URL in main of the Git repository contoso/data, and publish."
    )
