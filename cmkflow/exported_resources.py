"""Azure resources from files: templates, single resources, lists, recorded responses.

Read through the port that reads Azure itself, so that a firewall in a file is judged by the very
code that judges one in a subscription.
"""

import builtins
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cmkflow.json_file import UnreadableFile, decode_json
from cmkflow.template_expressions import Template
from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at
from shared.errors import NotFound

#: Parts that a template may write beside the resource that they belong to, and their member there.
_PARTS = {
    "microsoft.network/networksecuritygroups/securityrules": "securityRules",
    "microsoft.network/routetables/routes": "routes",
}
#: Members in which a template calls a collection differently from the resource's own type.
_OLDER_TYPES = {
    "microsoft.network/firewallpolicies/rulegroups": (
        "Microsoft.Network/firewallPolicies/ruleCollectionGroups"
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadRules:
    """A file, or an object of one, in which no resource is."""

    #: The file, and where in it.
    place: str
    #: `not_json` or `no_resource`, and what is there instead.
    reason: str


@dataclass(slots=True)
class ExportedResources:
    """The resources of some files; implements `ResourceReader`."""

    #: By lower-case id, as written last.
    by_id: dict[str, Mapping[str, object]] = field(default_factory=dict)
    unread: list[UnreadRules] = field(default_factory=list)
    #: Lower-case ids of those that templates deploy: what they do not write is not there.
    deployed: set[str] = field(default_factory=set)

    async def list(
        self,
        resource_type: str,
        api_version: str,  # noqa: ARG002 – a file has the version that it has
    ) -> builtins.list[Mapping[str, object]]:
        """Return every resource of a type."""
        wanted = resource_type.lower()
        return [one for one in self.by_id.values() if str(one["type"]).lower() == wanted]

    async def get(
        self,
        resource_id: str,
        api_version: str,  # noqa: ARG002
        suffix: str = "",
    ) -> Mapping[str, object]:
        """Return one resource, or what lies below it; raises `NotFound`."""
        found = self.by_id.get((resource_id + suffix).lower())
        if found is None and suffix == "/config/web":
            found = self._site_configuration(resource_id.lower())
        if found is None and suffix == "/networkRuleSets/default":
            found = {} if resource_id.lower() in self.deployed else None
        if found is None:
            raise NotFound(f"no file holds {resource_id}{suffix}")
        return found

    def _site_configuration(self, site_id: str) -> Mapping[str, object] | None:
        """Return a site's `config/web` from the site; a list of sites shows no restrictions."""
        site = self.by_id.get(site_id, {})
        configuration = mapping_at(site, "properties", "siteConfig")
        if site_id in self.deployed or "ipSecurityRestrictions" in configuration:
            return {"properties": configuration}
        return None

    async def below(
        self,
        resource_id: str,
        collection: str,
        api_version: str,  # noqa: ARG002
    ) -> builtins.list[Mapping[str, object]]:
        """Return all of a collection below a resource; raises `NotFound`.

        A template holds all that it deploys. Of an exported resource, none says nothing.
        """
        start = f"{resource_id}/{collection}/".lower()
        found = [one for key, one in self.by_id.items() if key.startswith(start)]
        if not found and resource_id.lower() not in self.deployed:
            raise NotFound(f"no file holds {resource_id}/{collection}")
        return found


def read_exported(paths: Iterable[Path]) -> ExportedResources:
    """Return the resources of files, and of the files of folders that are called `*.json*`."""
    resources = ExportedResources()
    for path in paths:
        files = sorted(path.rglob("*.json*")) if path.is_dir() else [path]
        for file in files:
            _read_file(file, resources)
    _put_parts_together(resources)
    return resources


def _read_file(file: Path, resources: ExportedResources) -> None:
    try:
        document = decode_json(file.read_bytes())
    except (UnreadableFile, OSError) as error:
        text = error.strerror if isinstance(error, OSError) else str(error)
        resources.unread.append(UnreadRules(place=str(file), reason=f"not_json: {text}"))
        return
    found = False
    for resource in _resources_of(document, scope=f"{file}!"):
        found = True
        key = str(resource["id"]).lower()
        resources.by_id[key] = resource
        if key.startswith(f"{file}!".lower()):
            resources.deployed.add(key)
    if not found:
        reason = f"no_resource: {_description(document)}"
        resources.unread.append(UnreadRules(place=str(file), reason=reason))


def _resources_of(document: object, scope: str) -> Iterator[Mapping[str, object]]:
    if isinstance(document, list):
        for one in document:
            yield from _resources_of(one, scope)
        return
    members = as_mapping(document)
    if "interactions" in members:
        for data in _recorded_answers(members["interactions"]):
            yield from _resources_of(data, scope)
    elif "resources" in members and ("$schema" in members or "contentVersion" in members):
        yield from _deployed(members, scope)
    elif text_at(members, "id") and "/" in (text_at(members, "type") or ""):
        yield members
    elif isinstance(members.get("value"), list):
        yield from _resources_of(members["value"], scope)


def _recorded_answers(interactions: object) -> Iterator[object]:
    """Yield the bodies of recorded answers, as `vcrpy` writes them or as text."""
    for interaction in interactions if isinstance(interactions, list) else ():
        body = mapping_at(as_mapping(interaction), "response", "body")
        text = text_at(body, "string")
        try:
            yield decode_json(text.encode()) if text else body.get("data")
        except UnreadableFile:
            continue  # not every answer is JSON


def _deployed(document: Mapping[str, object], scope: str) -> Iterator[Mapping[str, object]]:
    """Yield what a template deploys, in the shape in which Azure would show it."""
    parameters = mapping_at(document, "parameters")
    template = Template(
        defaults={
            name: as_mapping(one)["defaultValue"]
            for name, one in parameters.items()
            if "defaultValue" in as_mapping(one)
        },
        variables=mapping_at(document, "variables"),
        scope=scope,
    )
    yield from _written(document.get("resources"), template, parent=None)


def _written(
    resources: object, template: Template, parent: tuple[str, str] | None
) -> Iterator[Mapping[str, object]]:
    # The newer language version writes resources as an object, by symbolic name.
    listed = [*resources.values()] if isinstance(resources, dict) else resources
    for written in listed if isinstance(listed, list) else ():
        members = as_mapping(written)
        resource_type, name = (str(members.get(key) or "") for key in ("type", "name"))
        name = str(template.resolved(name, "name"))
        if parent:
            resource_type, name = f"{parent[0]}/{resource_type}", f"{parent[1]}/{name}"
        resource_type = _OLDER_TYPES.get(resource_type.lower(), resource_type)
        yield {
            "id": template.id_of(resource_type, name),
            "name": name.rpartition("/")[2],
            "type": resource_type,
            "tags": template.resolved(members.get("tags")),
            "properties": _properties(members, template),
        }
        inner = mapping_at(members, "properties", "template")
        if inner:
            place = f"{template.scope}{name}!"
            yield from _deployed(inner, place)
        yield from _written(members.get("resources"), template, (resource_type, name))


def _properties(members: Mapping[str, object], template: Template) -> Mapping[str, object]:
    """Return a resource's properties. What only a deployment decides stands there as its text."""
    properties = {**as_mapping(template.resolved(members.get("properties")))}
    copies = properties.pop("copy", None)
    for copied in copies if isinstance(copies, list) else ():
        properties[str(as_mapping(copied).get("name"))] = "[copy()]"
    condition = members.get("condition", True)
    if condition is not True and "ruleCollections" in properties:
        properties["ruleCollections"] = condition
    return properties


def _put_parts_together(resources: ExportedResources) -> None:
    """Give rules that stand beside their group, and routes beside their table, to it."""
    for part in [*resources.by_id.values()]:
        member = _PARTS.get(str(part["type"]).lower())
        whole_id = str(part["id"]).rpartition("/")[0].rpartition("/")[0].lower()
        whole = resources.by_id.get(whole_id)
        if member is None or whole is None:
            continue
        properties = as_mapping(whole.get("properties"))
        listed = properties.get(member)
        rules = [as_mapping(one) for one in listed] if isinstance(listed, list) else []
        if all(text_at(rule, "name") != part["name"] for rule in rules):
            together = {**properties, member: [*rules, part]}
            resources.by_id[whole_id] = {**whole, "properties": together}


def _description(document: object) -> str:
    if "policyRule" in mapping_at(as_mapping(document), "properties"):
        return "a policy definition"
    if "ruleCollectionType" in as_mapping(document):
        return "a rule collection by itself: which rules come before it stands in its policy"
    names = ", ".join([*as_mapping(document)][:3])
    return f"an object of {names}" if names else "no object"
