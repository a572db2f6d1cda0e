"""Check and show the parts of data factories and Synapse workspaces, such as pipelines.

Secure values are stored as they are sent, and shown as asterisks; asterisks that are sent back are
stored, too. A write sets `lastPublishTime` of a pipeline.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import datetime

from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.core.clock import format_time
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

_MASK = "**********"
_TYPED = ("datasets", "linkedservices", "triggers")
#: Type of a reference → the collection that it names, in lower case.
_REFERENCES = {
    "DatasetReference": "datasets",
    "LinkedServiceReference": "linkedservices",
    "NotebookReference": "notebooks",
    "PipelineReference": "pipelines",
}
#: What a notebook must have.
_OF_NOTEBOOK = ("cells", "metadata", "nbformat", "nbformat_minor")


def show_part(document: JsonObject) -> JsonObject:
    return document | {
        "properties": _mask_secure_values(document.get("properties", {})),
        "etag": compute_etag(document),
    }


def set_publish_time(document: JsonObject, now: datetime) -> JsonObject:
    if not document["type"].lower().endswith("/pipelines"):
        return document
    properties = document["properties"] | {"lastPublishTime": format_time(now)}
    return document | {"properties": properties}


def compute_etag(document: JsonObject) -> str:
    text = json.dumps(document, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def require_etag(wanted: str | None, there: JsonObject | None) -> None:
    if wanted in (None, "*"):
        return
    if there is None or wanted.strip('"') != compute_etag(there):
        raise SimulatedPlatformError(412, "PreconditionFailed", "The resource was changed.")


def require_valid_part(
    collection: str,
    properties: object,
    there: JsonObject | None,
    has_item: Callable[[str, str], bool],
) -> None:
    """Reject (400) invalid properties of a part, and a change of a started trigger.

    `has_item` returns whether a collection has an item of this name.
    """
    kind, problem = collection.lower(), ""
    if not isinstance(properties, dict):
        problem = "The document has no 'properties'."
    elif kind in _TYPED and not isinstance(properties.get("type"), str):
        problem = "The property 'type' is required."
    elif kind == "pipelines" and not isinstance(properties.get("activities", []), list):
        problem = "The property 'activities' must be a list."
    elif kind == "notebooks" and not all(name in properties for name in _OF_NOTEBOOK):
        problem = f"A notebook must have {', '.join(_OF_NOTEBOOK)}."
    else:
        for referred, name in _find_references(properties):
            if not has_item(referred, name):
                problem = (
                    f"The document creation or update failed because of invalid reference '{name}'."
                )
    if problem:
        raise SimulatedPlatformError(400, "BadRequest", problem)
    if there and there.get("properties", {}).get("runtimeState") == "Started":
        raise SimulatedPlatformError(
            400,
            "TriggerEnabledCannotUpdate",
            "Cannot update enabled Trigger; the trigger needs to be disabled first.",
        )


def _find_references(value: object) -> Iterator[tuple[str, str]]:
    """Yield collection and name of each part that a value refers to."""
    if isinstance(value, list):
        for item in value:
            yield from _find_references(item)
    elif isinstance(value, dict):
        collection, name = _REFERENCES.get(str(value.get("type"))), value.get("referenceName")
        if collection and isinstance(name, str):
            yield collection, name
        for member in value.values():
            yield from _find_references(member)


def _mask_secure_values(value: object) -> object:
    if isinstance(value, list):
        return [_mask_secure_values(item) for item in value]
    if not isinstance(value, dict):
        return value
    is_secure = str(value.get("type")).lower() == "securestring"
    return {
        name: _MASK
        if is_secure and name in ("value", "defaultValue")
        else _mask_secure_values(member)
        for name, member in value.items()
    }
