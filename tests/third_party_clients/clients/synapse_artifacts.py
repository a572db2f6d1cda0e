"""Use Microsoft's SDK for the parts of a Synapse workspace, signed in as a managed identity."""

from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.identity import ManagedIdentityCredential
from azure.synapse.artifacts import ArtifactsClient
from azure.synapse.artifacts.models import (
    HttpLinkedService,
    JsonDataset,
    LinkedServiceReference,
    PipelineResource,
    WebActivity,
)
from caller_places import URL, run

CLIENT = ArtifactsClient(
    ManagedIdentityCredential(),
    "https://contoso.dev.azuresynapse.net",
    retry_total=0,
    polling_interval=0.2,
)


def put_pipeline(url: str = URL, etag: str | None = None) -> str:
    call = WebActivity(name="Call", method="POST", url=url, body="{}")
    pipeline = PipelineResource(activities=[call], description="x")
    found = CLIENT.pipeline.begin_create_or_update_pipeline("nightly", pipeline, etag).result()
    return describe_pipeline(found)


def describe_pipeline(pipeline: Any) -> str:
    return ", ".join(
        [pipeline.description, *(f"{one.name} {one.url}" for one in pipeline.activities)]
    )


def put_pipeline_with_another_etag() -> str:
    """Try to replace the pipeline with an ETag that it no longer has."""
    try:
        return put_pipeline("https://contoso.example", "0a006cd4-0000-0000-0000-5b245bd60000")
    except HttpResponseError as error:
        return f"rejected: {error.status_code}"


def put_linked_service() -> str:
    service = HttpLinkedService(url=URL, authentication_type="Anonymous", description="x")
    CLIENT.linked_service.begin_create_or_update_linked_service("flow", service).result()
    return read_linked_service()


def put_dataset() -> str:
    service = LinkedServiceReference(type="LinkedServiceReference", reference_name="flow")
    dataset = JsonDataset(linked_service_name=service, description=URL)
    CLIENT.dataset.begin_create_or_update_dataset("flow", dataset).result()
    return read_dataset()


def read_linked_service() -> str:
    properties = CLIENT.linked_service.get_linked_service("flow").properties
    return f"{properties.description}, {properties.url}"


def read_dataset() -> str:
    properties = CLIENT.dataset.get_dataset("flow").properties
    return f"{properties.linked_service_name.reference_name}, {properties.description}"


WRITES = {
    "pipeline.begin_create_or_update_pipeline": put_pipeline,
    "pipeline.begin_create_or_update_pipeline, another ETag": put_pipeline_with_another_etag,
    "linked_service.begin_create_or_update_linked_service": put_linked_service,
    "dataset.begin_create_or_update_dataset": put_dataset,
}
READS = {
    "pipeline.get_pipelines_by_workspace": lambda: ", ".join(
        sorted(str(one.name) for one in CLIENT.pipeline.get_pipelines_by_workspace())
    ),
    "pipeline.get_pipeline": lambda: describe_pipeline(CLIENT.pipeline.get_pipeline("nightly")),
    "linked_service.get_linked_service": read_linked_service,
    "dataset.get_dataset": read_dataset,
}

if __name__ == "__main__":
    run(WRITES, READS, "azure-synapse-artifacts")
