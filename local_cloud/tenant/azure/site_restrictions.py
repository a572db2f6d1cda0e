"""Build the access restrictions of App Service as its configuration shows them.

The last one is *Allow all* or *Deny all*, and applies to all addresses that no other restriction
matches. See platform.md#firewall-resources.
"""

from typing import Any

from local_cloud.tenant.azure.resources import JsonObject

#: Priority of the rule for everybody else.
_LAST = 2147483647
#: Priority of a rule that was made without one.
_DEFAULT_PRIORITY = 65000


def build_effective_restrictions(web: JsonObject) -> list[JsonObject]:
    """Return the rules in the order of evaluation, the last one for all remaining addresses.

    Unless `ipSecurityRestrictionsDefaultAction` says otherwise, it denies them if there is another
    rule, and allows them if there is none.
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
