"""Build the access restrictions of App Service as its configuration shows them.

After the configured rules, the configuration shows *Allow all* or *Deny all*, which applies to all
other callers. See platform.md#firewall-resources.
"""

from typing import Any

from local_cloud.tenant.azure.resources import JsonObject

#: Priority of the rule for everybody else.
_LAST = 2147483647
#: Priority of a rule that was made without one.
_DEFAULT_PRIORITY = 65000


def build_effective_restrictions(web: JsonObject) -> list[JsonObject]:
    """Return the rules in the order of evaluation; the last one applies to all other callers.

    The last rule denies if there is another rule, unless `ipSecurityRestrictionsDefaultAction` says
    otherwise.
    """
    rules = [
        {"action": "Allow", "tag": "Default"}
        | each
        # The Azure CLI sends a text, and App Service shows a number.
        | {"priority": int(each.get("priority", _DEFAULT_PRIORITY))}
        for each in web.get("ipSecurityRestrictions") or []
        if each.get("priority") != _LAST
    ]
    rules.sort(key=_get_priority)
    action = web.get("ipSecurityRestrictionsDefaultAction") or ("Deny" if rules else "Allow")
    last = {
        "ipAddress": "Any",
        "action": action,
        "priority": _LAST,
        "name": f"{action} all",
        "description": f"{action} all access",
    }
    return [*rules, last]


def _get_priority(rule: dict[str, Any]) -> int:
    return int(rule["priority"])
