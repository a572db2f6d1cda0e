"""Writes *List flows as Admin* as an action of the newer shape where it has the older one.

The older shape (type `ApiConnection`) calls a path, and no source tells the path of V2. The newer
one names operation and parameters, which are known (platform.md#list-flows-as-admin). Of the 89
public definitions that hold the older shape, ten hold both side by side; the same flow of
Microsoft's is public before and after its makers did this by hand.
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote

from shared.domain.definitions.connector_operations import connection_key
from shared.domain.definitions.expressions import whole_reference
from shared.domain.definitions.json_values import mapping_at, text_at

NEWER_TYPE = "OpenApiConnection"

_API_ID = "/providers/Microsoft.PowerApps/apis/shared_flowmanagement"
_PATH = re.compile(
    r"/scopes/admin/environments/(?:@\{(?P<expression>.+)\}|(?P<name>[^/@{}]+))/flows/?", re.DOTALL
)
_ENCODING = "encodeuricomponent"
_LITERAL = re.compile(r"'(?P<value>(?:[^'@]|'')*)'")
#: Members whose meaning both shapes share, beside those that are rewritten.
_SHARED = frozenset({"authentication", "retryPolicy"})
_REWRITTEN = frozenset({"host", "method", "path"})


def has_older_shape(action: Mapping[str, object]) -> bool:
    """Say whether an action of a connector names no operation, only a path."""
    return text_at(mapping_at(action, "inputs", "host"), "operationId") is None


def newer_inputs(action: Mapping[str, object], operation_id: str) -> dict[str, object] | None:
    """Return the inputs of an action of the older shape in the newer one; None: not surely.

    The runtime encodes a parameter's value, so the encoding in the path is left out.
    """
    inputs = mapping_at(action, "inputs")
    host = mapping_at(inputs, "host")
    connection = connection_key(host)
    environment = _environment(text_at(inputs, "path") or "")
    is_plain = inputs.keys() <= _SHARED | _REWRITTEN and text_at(action, "type") == "ApiConnection"
    if not is_plain or environment is None or connection is None:
        return None
    if "referenceName" in mapping_at(host, "connection"):
        return None  # a Logic App
    return {
        "host": {"connectionName": connection, "operationId": operation_id, "apiId": _API_ID},
        "parameters": {"environmentName": environment},
        **{name: value for name, value in inputs.items() if name in _SHARED},
    }


def _environment(path: str) -> str | None:
    """Return the environment that a path names: text, or an expression over the whole of it."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    if found["expression"] is None:
        return unquote(found["name"])
    call = whole_reference(f"@{found['expression']}")
    if call is None or call.function != _ENCODING or call.keys:
        return None
    argument = call.text[call.text.index("(") + 1 : -1].strip()
    literal = _LITERAL.fullmatch(argument)
    return literal["value"].replace("''", "'") if literal else f"@{argument}"
