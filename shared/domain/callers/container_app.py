"""Read the secrets and environment variables of a container app, and build a change of them.

Each has a name, here called a place.
"""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from shared.domain.callers.url_secret import build_reference_to_uri, find_secret_uri
from shared.domain.definitions.json_values import mapping_at, objects_at, text_at

#: How the names of places begin.
SECRET, VARIABLE, REVISION = "secret/", "variable/", "revision/"
#: The place with everything else that a revision is made from.
TEMPLATE = "template"
#: The members of a secret that hold its value or refer to it.
_CONTENT = frozenset({"value", "keyVaultUrl", "identity"})
_SYSTEM_ASSIGNED = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerApp:
    """A container app as Azure returns it."""

    resource: Mapping[str, object]
    #: As `listSecrets` returns them, with values: never logged or stored.
    secrets: list[Mapping[str, object]] = field(repr=False)
    #: The active revisions, if the app may run several; each keeps its variables.
    revisions: list[Mapping[str, object]] = field(repr=False)

    @property
    def values(self) -> dict[str, str]:
        """Return the texts of secrets and environment variables, by place.

        The text of a secret in Key Vault is a reference to it. The place `template` contains the
        rest of the template, so that a change of it is detected.
        """
        found = {
            f"{SECRET}{text_at(secret, 'name')}": _format_secret_text(secret)
            for secret in self.secrets
        }
        templates = {
            f"{REVISION}{text_at(one, 'name')}/": mapping_at(one, "properties", "template")
            for one in self.revisions
        }
        for start, template in (templates or {VARIABLE: self._template}).items():
            for name, variable in _list_variables(template):
                found[f"{start}{name}"] = text_at(variable, "value") or ""
        return found | {TEMPLATE: json.dumps(self._copy_template(is_bare=True), sort_keys=True)}

    def changes_variable(self, texts: Mapping[str, str]) -> bool:
        """Return whether one of these texts is a new value for an environment variable."""
        values = self.values
        return any(
            name.startswith(VARIABLE) and values.get(name) != text for name, text in texts.items()
        )

    def build_patch_body(
        self, texts: Mapping[str, str], identities: Mapping[str, str]
    ) -> dict[str, object]:
        """Return the body of the PATCH that writes `texts`.

        Both mappings are by place. `identities` contains the resource id of the user-assigned
        identity that reads a secret; without one, the system-assigned identity reads it. The body
        repeats unchanged secrets and variables, because a PATCH replaces whole lists. If a variable
        changes, the body removes the revision suffix, which must be unique.
        """
        properties: dict[str, object] = {}
        if any(name.startswith(SECRET) for name in texts):
            secrets = [self._build_changed_secret(one, texts, identities) for one in self.secrets]
            properties["configuration"] = {"secrets": secrets}
        if self.changes_variable(texts):
            template = self._copy_template()
            for name, variable in _list_variables(template):
                variable["value"] = texts.get(f"{VARIABLE}{name}", variable["value"])
            properties["template"] = template | {"revisionSuffix": None}
        return {"properties": properties}

    @property
    def _template(self) -> Mapping[str, object]:
        return mapping_at(self.resource, "properties", "template")

    def _copy_template(self, *, is_bare: bool = False) -> dict[str, Any]:
        """Copy the template, without the revision suffix and the variables' values if `is_bare`."""
        template: dict[str, Any] = deepcopy(dict(self._template))
        if is_bare:
            template.pop("revisionSuffix", None)
            for _, variable in [*_list_variables(template)]:
                del variable["value"]
        return template

    def _build_changed_secret(
        self,
        secret: Mapping[str, object],
        texts: Mapping[str, str],
        identities: Mapping[str, str],
    ) -> dict[str, object]:
        place = f"{SECRET}{text_at(secret, 'name')}"
        text = texts.get(place, _format_secret_text(secret))
        if text == _format_secret_text(secret):
            hidden = {"value"} if text_at(secret, "keyVaultUrl") else set[str]()
            return {name: one for name, one in secret.items() if name not in hidden}
        kept = {name: one for name, one in secret.items() if name not in _CONTENT}
        if uri := find_secret_uri(text):
            identity = identities.get(place) or _SYSTEM_ASSIGNED
            return {**kept, "keyVaultUrl": uri, "identity": identity}
        return {**kept, "value": text}


def _format_secret_text(secret: Mapping[str, object]) -> str:
    uri = text_at(secret, "keyVaultUrl")
    return build_reference_to_uri(uri) if uri else text_at(secret, "value") or ""


def describe_place(name: str) -> str:
    """Return the name of a place in words for people."""
    kind, _, rest = name.partition("/")
    last = rest.rpartition("/")[2]
    match f"{kind}/":
        case "secret/":
            return f"secret {last}"
        case "variable/":
            return f"environment variable {last}"
        case "revision/":
            return f"environment variable {last} in revision {rest.partition('/')[0]}"
    return name


def _list_variables(template: Mapping[str, object]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the environment variables that have a value, by `container/name`."""
    for kind in ("containers", "initContainers"):
        for container in objects_at(template, kind):
            for variable in objects_at(container, "env"):
                if text_at(variable, "value") and isinstance(variable, dict):
                    yield f"{text_at(container, 'name')}/{text_at(variable, 'name')}", variable
