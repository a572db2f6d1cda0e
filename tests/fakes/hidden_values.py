"""Hide what Azure Resource Manager does not show in a read of a resource."""

from collections.abc import Mapping

from shared.domain.definitions.json_values import mapping_at, objects_at, text_at


def without_secrets(resource: Mapping[str, object]) -> Mapping[str, object]:
    """Return a resource without what a read hides, such as the secrets of a container app."""
    webhook = mapping_at(resource, "properties", "destination", "properties")
    if url := text_at(webhook, "endpointUrl"):
        hidden = {"endpointUrl": None, "endpointBaseUrl": url.partition("?")[0]}
        return merge_patch(resource, {"properties": {"destination": {"properties": hidden}}})
    properties = mapping_at(resource, "properties")
    if properties.get("secret") or properties.get("isEncrypted"):
        return merge_patch(resource, {"properties": {"value": None}})
    secrets = objects_at(mapping_at(resource, "properties", "configuration"), "secrets")
    if not secrets:
        return resource
    shown = [{key: value for key, value in one.items() if key != "value"} for one in secrets]
    return merge_patch(resource, {"properties": {"configuration": {"secrets": shown}}})


def merge_patch(document: Mapping[str, object], change: Mapping[str, object]) -> dict[str, object]:
    """Return a document after a JSON merge patch.

    A list replaces the whole list, and null removes a member.
    """
    merged = dict(document)
    for name, value in change.items():
        there = merged.get(name)
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = merge_patch(there if isinstance(there, dict) else {}, value)
        else:
            merged[name] = value
    return merged
