"""Access restrictions of App Service as its configuration shows them.

After the rules that somebody made there is always one more, *Allow all* or *Deny all*, which says
what happens to everybody else.

See platform.md#firewall-resources.
"""

from typing import Any

from local_cloud.tenant.azure.resources import JsonObject

#: Priority of the rule for everybody else.
_LAST = 2147483647
#: Priority of a rule that was made without one.
_DEFAULT_PRIORITY = 65000


def effective_restrictions(web: JsonObject) -> list[JsonObject]:
    """Return the rules in the order in which they are tried, the one for everybody else last.

    That one denies as soon as there is a rule, unless `ipSecurityRestrictionsDefaultAction` says
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
    rules.sort(key=_priority)
    action = web.get("ipSecurityRestrictionsDefaultAction") or ("Deny" if rules else "Allow")
    last = {
        "ipAddress": "Any",
        "action": action,
        "priority": _LAST,
        "name": f"{action} all",
        "description": f"{action} all access",
    }
    return [*rules, last]


def _priority(rule: dict[str, Any]) -> int:
    return int(rule["priority"])
