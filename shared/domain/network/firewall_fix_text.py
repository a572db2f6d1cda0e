"""Format firewall fixes as Azure CLI commands, Bicep and Terraform."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

#: The comment of a text that shows one part of a resource.
MERGED = "One part of the resource: replace the same part in yours."
#: Placeholders in ids and commands for what a template does not contain.
SUBSCRIPTION, GROUP = "<subscription>", "<resource group>"
_STEP = "  "
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class ResourceIdParts:
    """The parts of an Azure resource id, as commands need them."""

    subscription: str
    group: str
    #: From the outermost resource to the innermost.
    names: tuple[str, ...]

    @classmethod
    def parse(cls, resource_id: str) -> "ResourceIdParts":
        """Parse an id. Missing parts, as in a template's resource, become placeholders."""
        scope, _, path = resource_id.rpartition("!")[2].rpartition("/providers/")
        parts = scope.split("/")
        above = {kind.lower(): name for kind, name in pairwise(parts)}
        return cls(
            subscription=above.get("subscriptions", SUBSCRIPTION),
            group=above.get("resourcegroups", GROUP),
            names=tuple(path.split("/")[2::2]) or (resource_id,),
        )

    @property
    def options(self) -> dict[str, str]:
        """Return the resource's subscription and group as options of the Azure CLI."""
        return {"subscription": self.subscription, "resource-group": self.group}

    @property
    def label(self) -> str:
        """Return the resource's name as an identifier of Bicep and Terraform."""
        return format_identifier(self.names[-1])


def fill_id_placeholders(resource_id: str) -> str:
    """Return an id with placeholders for the subscription and group, if a template omits them."""
    place = resource_id.rpartition("!")[2]
    if not place.startswith("/providers/"):
        return resource_id
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}{place}"


def format_identifier(name: str) -> str:
    """Return a name as an identifier of Bicep and Terraform: letters, digits and underscores."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return plain if _WORD.fullmatch(plain) else f"_{plain}"


def format_az_command(
    command: str, options: Mapping[str, object], *again: tuple[str, object]
) -> str:
    """Return an Azure CLI command with one option per line.

    A list contains the values of one option. `again` are options that may be repeated.
    """
    lines = [f"az {command}"]
    for name, value in (*options.items(), *again):
        values = value if isinstance(value, list | tuple) else [value]
        lines.append(f"{_STEP}--{name} {shlex.join(map(str, values))}")
    return " \\\n".join(lines)


def format_extension_comment(*names: str) -> str:
    """Return a comment that names the Azure CLI extensions that commands need."""
    commands = "; ".join(f"az extension add --name {name}" for name in names)
    return f"# These commands need an Azure CLI extension: {commands}"


def format_bicep_resource(
    kind: str, name: str, properties: Mapping[str, object], **more: object
) -> str:
    """Return a complete resource in Bicep. `kind` is its type and version."""
    body = {"name": name, **more, "properties": properties}
    return f"resource {format_identifier(name)} '{kind}' = {_format_bicep_value(body)}\n"


def format_bicep_part(
    kind: str, name: str, properties: Mapping[str, object], **more: object
) -> str:
    """Return a part of a resource in Bicep. `kind` is its type and version."""
    return f"// {MERGED}\n{format_bicep_resource(kind, name, properties, **more)}"


def format_bicep_children(
    kind: str, parent: str, properties: Mapping[str, Mapping[str, object]]
) -> str:
    """Return child resources of an existing one in Bicep. `kind` is their type and version."""
    own_type, _, version = kind.partition("@")
    above = f"{own_type.rpartition('/')[0]}@{version}"
    existing = _format_bicep_value({"name": parent})
    declared = [f"resource {format_identifier(parent)} '{above}' existing = {existing}\n"]
    declared += [
        f"resource {format_identifier(f'{parent}_{name}')} '{kind}' = "
        + _format_bicep_value(
            {"parent": RawText(format_identifier(parent)), "name": name, "properties": one}
        )
        + "\n"
        for name, one in properties.items()
    ]
    return "\n".join(declared)


@dataclass(frozen=True, slots=True)
class RawText:
    """Text that is inserted without quotes, such as a reference to another name."""

    text: str


def _format_bicep_value(value: object, indent: str = "") -> str:
    deeper = indent + _STEP
    match value:
        case RawText():
            return value.text
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case Mapping():
            members = [
                f"{deeper}{_format_bicep_key(k)}: {_format_bicep_value(v, deeper)}\n"
                for k, v in value.items()
            ]
            return f"{{\n{''.join(members)}{indent}}}" if members else "{}"
        case list() | tuple():
            items = [f"{deeper}{_format_bicep_value(one, deeper)}\n" for one in value]
            return f"[\n{''.join(items)}{indent}]" if items else "[]"
        case None:
            return "null"
    text = str(value).replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${")
    return f"'{text}'"


def _format_bicep_key(name: str) -> str:
    return name if _WORD.fullmatch(name) else f"'{name}'"


@dataclass(frozen=True, slots=True)
class TerraformBlock:
    """A Terraform block: its type, its labels, and its arguments and blocks."""

    kind: str
    labels: tuple[str, ...] = ()
    body: Sequence["tuple[str, object] | TerraformBlock | str"] = ()


def format_terraform(*blocks: TerraformBlock) -> str:
    """Return blocks in Terraform. A plain text among the entries of a block is a comment."""
    return "\n".join("\n".join(_format_hcl_block(block, "")) + "\n" for block in blocks)


def format_terraform_part(kind: str, name: str, part: "tuple[str, object] | TerraformBlock") -> str:
    """Return a part of a resource in Terraform."""
    return format_terraform(
        TerraformBlock("resource", (kind, format_identifier(name)), [MERGED, part])
    )


def format_terraform_set(values: Sequence[str]) -> RawText:
    """Return a list as a set of Terraform, as `for_each` requires."""
    return RawText(f"toset({_format_hcl_value(values, _STEP)})")


def _format_hcl_block(block: TerraformBlock, indent: str) -> Iterable[str]:
    deeper = indent + _STEP
    labels = "".join(f" {_quote_hcl_text(one)}" for one in block.labels)
    yield f"{indent}{block.kind}{labels} {{"
    for part in block.body:
        match part:
            case TerraformBlock():
                yield from _format_hcl_block(part, deeper)
            case str():
                yield f"{deeper}# {part}"
            case (name, value):
                yield f"{deeper}{name} = {_format_hcl_value(value, deeper)}"
    yield f"{indent}}}"


def _format_hcl_value(value: object, indent: str) -> str:
    match value:
        case RawText():
            return value.text
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case list() | tuple():
            items = "".join(
                f"{indent}{_STEP}{_format_hcl_value(one, indent + _STEP)},\n" for one in value
            )
            return f"[\n{items}{indent}]"
    return _quote_hcl_text(str(value))


def _quote_hcl_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped.replace("${", "$${").replace("%{", "%%{")}"'
