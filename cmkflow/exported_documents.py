"""Find Azure resources in ARM templates, exported resources, lists and recorded responses."""

from collections.abc import Iterator, Mapping

from cmkflow.json_file import UnreadableFile, decode_json
from cmkflow.template_expressions import ArmTemplate, Expressions
from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at

#: Resource types that templates use for a collection, and the current type.
_OLDER_TYPES = {
    "microsoft.network/firewallpolicies/rulegroups": (
        "Microsoft.Network/firewallPolicies/ruleCollectionGroups"
    )
}
#: Members of a resource that are not properties.
_AROUND = frozenset(
    ("etag", "id", "identity", "location", "name", "resourceGroup", "sku", "tags", "type", "zones")
)


def list_resources(
    document: object, scope: str, expressions: Expressions
) -> Iterator[Mapping[str, object]]:
    """Yield the resources in a document, in the form in which Azure returns them.

    `scope` is the prefix of the ids of a template's resources. Expressions whose values only a
    deployment decides are added to `expressions`.
    """
    if isinstance(document, list):
        for one in document:
            yield from list_resources(one, scope, expressions)
        return
    members = as_mapping(document)
    if "interactions" in members:
        for data in _parse_recorded_answers(members["interactions"]):
            yield from list_resources(data, scope, expressions)
    elif "resources" in members and ("$schema" in members or "contentVersion" in members):
        yield from _resolve_template(members, scope, expressions)
    elif text_at(members, "id") and "/" in (text_at(members, "type") or ""):
        yield members if "properties" in members else _nest_properties(members)
    elif isinstance(members.get("value"), list):
        yield from list_resources(members["value"], scope, expressions)


def _nest_properties(members: Mapping[str, object]) -> Mapping[str, object]:
    """Move the members that `az … show` prints beside `id` and `type` into `properties`. Does so
    only for network resources, because the Azure CLI renames or omits properties of others.
    """
    if not str(members["type"]).lower().startswith("microsoft.network/"):
        return members
    around = {key: one for key, one in members.items() if key in _AROUND}
    inner = {key: _nest_inner_properties(one) for key, one in members.items() if key not in _AROUND}
    return {**around, "properties": inner}


def _nest_inner_properties(value: object) -> object:
    if isinstance(value, list):
        return [_nest_inner_properties(one) for one in value]
    members = as_mapping(value)
    if "etag" not in members or "properties" in members:
        return value
    around = {key: one for key, one in members.items() if key in _AROUND}
    return {
        **around,
        "properties": {
            k: _nest_inner_properties(v) for k, v in members.items() if k not in _AROUND
        },
    }


def _parse_recorded_answers(interactions: object) -> Iterator[object]:
    for interaction in interactions if isinstance(interactions, list) else ():
        body = mapping_at(as_mapping(interaction), "response", "body")
        text = text_at(body, "string")
        try:
            yield decode_json(text.encode()) if text else body.get("data")
        except UnreadableFile:
            continue  # not every response is JSON


def _resolve_template(
    document: Mapping[str, object], scope: str, expressions: Expressions
) -> Iterator[Mapping[str, object]]:
    parameters = mapping_at(document, "parameters")
    template = ArmTemplate(
        defaults={
            name: as_mapping(one)["defaultValue"]
            for name, one in parameters.items()
            if "defaultValue" in as_mapping(one)
        },
        variables=mapping_at(document, "variables"),
        scope=scope,
        types={name: text_at(as_mapping(one), "type") or "" for name, one in parameters.items()},
        expressions=expressions,
    )
    yield from _resolve_template_resources(document.get("resources"), template, parent=None)


def _resolve_template_resources(
    resources: object, template: ArmTemplate, parent: tuple[str, str] | None
) -> Iterator[Mapping[str, object]]:
    # Templates with language version 2 write resources as an object, by symbolic name.
    listed = [*resources.values()] if isinstance(resources, dict) else resources
    for written in listed if isinstance(listed, list) else ():
        members = as_mapping(written)
        resource_type, name = (str(members.get(key) or "") for key in ("type", "name"))
        name = str(template.resolve_value(name, "name"))
        if parent:
            resource_type, name = f"{parent[0]}/{resource_type}", f"{parent[1]}/{name}"
        resource_type = _OLDER_TYPES.get(resource_type.lower(), resource_type)
        yield {
            "id": template.format_resource_id(resource_type, name),
            "name": name.rpartition("/")[2],
            "type": resource_type,
            "tags": template.resolve_value(members.get("tags")),
            "properties": _resolve_properties(members, template),
        }
        inner = mapping_at(members, "properties", "template")
        if inner:
            place = f"{template.scope}{name}!"
            yield from _resolve_template(inner, place, template.expressions)
        yield from _resolve_template_resources(
            members.get("resources"), template, (resource_type, name)
        )


def _resolve_properties(
    members: Mapping[str, object], template: ArmTemplate
) -> Mapping[str, object]:
    properties = {**as_mapping(template.resolve_value(members.get("properties")))}
    copies = properties.pop("copy", None)
    for copied in copies if isinstance(copies, list) else ():
        properties[str(as_mapping(copied).get("name"))] = template.record_placeholder("[copy()]")
    condition = members.get("condition", True)
    if condition is not True and "ruleCollections" in properties:
        properties["ruleCollections"] = template.resolve_value(condition, "condition")
    return properties


def describe_document_without_resource(document: object) -> str:
    """Return what a document without a resource is, such as `a policy definition`."""
    if "policyRule" in mapping_at(as_mapping(document), "properties"):
        return "a policy definition"
    if "ruleCollectionType" in as_mapping(document):
        return "a rule collection without its policy, so the order of the rules is unknown"
    names = ", ".join([*as_mapping(document)][:3])
    return f"an object with {names}" if names else "not an object"
