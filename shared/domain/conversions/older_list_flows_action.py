"""Convert a *List flows as Admin* action from the older connector format to the newer one.

The older format (type `ApiConnection`) calls a path, and no source documents the path of V2. The
newer format names the operation and its parameters, which are documented
(platform.md#list-flows-as-admin). Evidence for the conversion: of 89 public definitions in the
older format, ten contain both formats, and Microsoft has published one flow before and after the
same change.
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote

from shared.domain.definitions.connector_operations import find_connection_key
from shared.domain.definitions.expressions import find_whole_reference
from shared.domain.definitions.json_values import mapping_at, text_at

NEWER_TYPE = "OpenApiConnection"

_API_ID = "/providers/Microsoft.PowerApps/apis/shared_flowmanagement"
_PATH = re.compile(
    r"/scopes/admin/environments/(?:@\{(?P<expression>.+)\}|(?P<name>[^/@{}]+))/flows/?", re.DOTALL
)
_ENCODING = "encodeuricomponent"
_LITERAL = re.compile(r"'(?P<value>(?:[^'@]|'')*)'")
#: Members that mean the same in both formats; the other members are rewritten.
_SHARED = frozenset({"authentication", "retryPolicy"})
_REWRITTEN = frozenset({"host", "method", "path"})


def has_older_shape(action: Mapping[str, object]) -> bool:
    """Return whether a connector action names a path instead of an operation."""
    return text_at(mapping_at(action, "inputs", "host"), "operationId") is None


def convert_to_newer_inputs(
    action: Mapping[str, object], operation_id: str
) -> dict[str, object] | None:
    """Return an action's inputs in the newer format, or None if they cannot be converted safely.

    The environment is decoded, because the runtime encodes the value of a parameter.
    """
    inputs = mapping_at(action, "inputs")
    host = mapping_at(inputs, "host")
    connection = find_connection_key(host)
    environment = _parse_environment(text_at(inputs, "path") or "")
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


def _parse_environment(path: str) -> str | None:
    """Return the environment in a path, as text or as an expression.

    Returns None for other paths.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    if found["expression"] is None:
        return unquote(found["name"])
    call = find_whole_reference(f"@{found['expression']}")
    if call is None or call.function != _ENCODING or call.keys:
        return None
    argument = call.text[call.text.index("(") + 1 : -1].strip()
    literal = _LITERAL.fullmatch(argument)
    return literal["value"].replace("''", "'") if literal else f"@{argument}"
