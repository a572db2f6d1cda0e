"""Read Azure resources from files, so that the code for subscriptions can also check files."""

import builtins
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cmkflow.exported_documents import describe_document_without_resource, list_resources
from cmkflow.json_file import UnreadableFile, decode_json
from cmkflow.template_expressions import Expressions
from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at
from shared.errors import NotFound

#: Child resources that a template may write separately, and the parent's property for them.
_PARTS = {
    "microsoft.network/networksecuritygroups/securityrules": "securityRules",
    "microsoft.network/routetables/routes": "routes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableFirewallFile:
    """A file, or a part of one, in which no resource was found, and why."""

    #: The file, and the part of it.
    place: str
    #: `no_file`, `not_json` or `no_resource`, followed by details.
    reason: str


@dataclass(slots=True)
class ExportedResources:
    """The Azure resources in some files; implements the port `ResourceReader`."""

    #: By lower-case id; the last one written wins.
    by_id: dict[str, Mapping[str, object]] = field(default_factory=dict)
    unread: list[UnreadableFirewallFile] = field(default_factory=list)
    #: Lower-case ids of resources in templates; what a template does not write does not exist.
    deployed: set[str] = field(default_factory=set)
    #: Values that only a deployment decides, by the lower-case id prefix of a template.
    expressions: dict[str, Expressions] = field(default_factory=dict)

    def find_expressions(self, resource_id: str) -> Expressions | None:
        """Return the expressions of the template that contains a resource, or else None."""
        wanted = resource_id.lower()
        return next((one for key, one in self.expressions.items() if wanted.startswith(key)), None)

    async def list(
        self,
        resource_type: str,
        api_version: str,  # noqa: ARG002 – a file has only one version
    ) -> builtins.list[Mapping[str, object]]:
        """Return all resources of a type."""
        wanted = resource_type.lower()
        return [
            one
            for one in self.by_id.values()
            if str(one["type"]).lower() == wanted and "properties" in one
        ]

    async def get(
        self,
        resource_id: str,
        api_version: str,  # noqa: ARG002
        suffix: str = "",
    ) -> Mapping[str, object]:
        """Return a resource, or its part at `suffix`. Raises `NotFound` if the files do not
        describe it.
        """
        found = self.by_id.get((resource_id + suffix).lower())
        if found is None and suffix == "/config/web":
            found = self._find_site_configuration(resource_id.lower())
        if found is None and suffix == "/networkRuleSets/default":
            found = {} if resource_id.lower() in self.deployed else None
        if found is None:
            raise NotFound(f"no file contains {resource_id}{suffix}")
        return found

    def _find_site_configuration(self, site_id: str) -> Mapping[str, object] | None:
        site = self.by_id.get(site_id, {})
        configuration = mapping_at(site, "properties", "siteConfig")
        if site_id in self.deployed or "ipSecurityRestrictions" in configuration:
            return {"properties": configuration}
        return None

    async def list_children(
        self,
        resource_id: str,
        collection: str,
        api_version: str,  # noqa: ARG002
    ) -> builtins.list[Mapping[str, object]]:
        """Return the children of a resource. Raises `NotFound` if the files have none, unless a
        template deploys the resource. An export may omit children.
        """
        start = f"{resource_id}/{collection}/".lower()
        found = [one for key, one in self.by_id.items() if key.startswith(start)]
        if not found and resource_id.lower() not in self.deployed:
            raise NotFound(f"no file contains {resource_id}/{collection}")
        return found


def read_exported_resources(paths: Iterable[Path]) -> ExportedResources:
    """Return the resources in these files and folders. Of a folder, reads files that match
    `*.json*`.
    """
    resources = ExportedResources()
    for path in paths:
        files = sorted(path.rglob("*.json*")) if path.is_dir() else [path]
        for file in files:
            _add_resources_of_file(file, resources)
    _merge_child_resources(resources)
    return resources


def _add_resources_of_file(file: Path, resources: ExportedResources) -> None:
    try:
        document = decode_json(file.read_bytes())
    except OSError as error:
        reason = f"no_file: {error.strerror}"
        resources.unread.append(UnreadableFirewallFile(place=str(file), reason=reason))
        return
    except UnreadableFile as error:
        resources.unread.append(
            UnreadableFirewallFile(place=str(file), reason=f"not_json: {error}")
        )
        return
    found = False
    scope, expressions = f"{file}!", resources.expressions.setdefault(f"{file}!".lower(), {})
    for resource in list_resources(document, scope, expressions):
        found = True
        key = str(resource["id"]).lower()
        resources.by_id[key] = resource
        if key.startswith(scope.lower()):
            resources.deployed.add(key)
    if not found:
        reason = f"no_resource: {describe_document_without_resource(document)}"
        resources.unread.append(UnreadableFirewallFile(place=str(file), reason=reason))


def _merge_child_resources(resources: ExportedResources) -> None:
    """Add rules and routes that are separate resources to their security group or route table."""
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
