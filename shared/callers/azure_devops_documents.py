"""Convert Azure DevOps service hooks and variable groups to contents of callers."""

import json
from collections.abc import Mapping

from shared.domain.callers.caller import CallerContent
from shared.domain.callers.unchanged_content import hash_texts
from shared.domain.definitions.json_values import as_mapping, mapping_at, objects_at

#: What a write sends of a hook and of a group; Azure DevOps sets the other members.
_HOOK_MEMBERS = (
    *("id", "publisherId", "eventType", "resourceVersion", "publisherInputs"),
    *("consumerId", "consumerActionId", "consumerInputs", "status"),
)
_GROUP_MEMBERS = (
    *("id", "type", "name", "description", "providerData"),
    *("variables", "variableGroupProjectReferences"),
)
#: Part of what Azure DevOps shows for a secret input.
_MASK = "****"
_MASKED = (
    "It has a password or headers, which Azure DevOps does not return, and a write by the app "
    "could remove them. Edit the URL in the project's settings (Service hooks)."
)
_SHARED = (
    "Several projects share the variable group, and a write by the app could end that. Change the "
    "URL in Pipelines › Library."
)


def build_content(document: Mapping[str, object]) -> CallerContent:
    """Return the content of a hook or group, with sorted names.

    Its ETag is a digest of all that a write sends.
    """
    text = json.dumps(mapping_at(document, get_content_member_name(document)), sort_keys=True)
    digest = hash_texts(json.dumps(select_written_members(document), sort_keys=True))
    return CallerContent(text=text, etag=digest)


def get_content_member_name(document: Mapping[str, object]) -> str:
    """Return the name of the document's member that can contain a URL."""
    return "consumerInputs" if "consumerId" in document else "variables"


def select_written_members(document: Mapping[str, object]) -> Mapping[str, object]:
    """Return only the members of a document that a write sends."""
    names = _HOOK_MEMBERS if "consumerId" in document else _GROUP_MEMBERS
    return {name: value for name, value in document.items() if name in names}


def find_manual_reason(document: Mapping[str, object]) -> str:
    """Return what a person must do to change a hook or group, or "" if the app can."""
    if "consumerId" in document:
        inputs = mapping_at(document, "consumerInputs").values()
        return _MASKED if any(_MASK in str(one) for one in inputs) else ""
    references = objects_at(document, "variableGroupProjectReferences")
    return _SHARED if document.get("isShared") or len(references) != 1 else ""


def format_secret_names(document: Mapping[str, object]) -> str:
    """Return the names of a group's secret variables, separated by commas.

    Returns "" for a group that is linked to a key vault.
    """
    if document.get("type") == "AzureKeyVault":  # the secrets of the vault are callers
        return ""
    variables = mapping_at(document, "variables")
    return ", ".join(name for name, one in variables.items() if as_mapping(one).get("isSecret"))
