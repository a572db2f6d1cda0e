"""What to do about a flow that stays, the recommended way first (the document's own table)."""

from collections.abc import Collection

from shared.domain.plans.mmk_rule import MmkReason

_BEFORE = {
    MmkReason.POWER_APPS_V1_OUTSIDE_SOLUTION: (
        (
            "Recommended: change its trigger to Power Apps (V2) before the key is applied, "
            "together with the makers of its apps. The app changes it where the flow is named: "
            "cmkflow remediation start ENVIRONMENT --mode prepare --flow ID."
        ),
        (
            "Or have the app add it to a solution before the key is applied, which changes neither "
            "flow nor app: cmkflow remediation start ENVIRONMENT --mode prepare."
        ),
        (
            "Or let the app copy it after the key is applied, and let the apps that run it use "
            "the copy."
        ),
    ),
    MmkReason.HTTP_TRIGGER: (
        (
            "Nothing can be done before: it needs a copy with a new URL once the key is applied. "
            "Put its URL where the app can change it (app setting, Key Vault)."
        ),
    ),
    MmkReason.TEAMS_TRIGGER: (
        (
            "Nothing can be done before: it needs a copy once the key is applied. A webhook's URL "
            "changes with it."
        ),
    ),
    MmkReason.LIST_FLOWS_AS_ADMIN_V1: (
        (
            "Change the action List flows as Admin (V1) to V2 before the key is applied. V2 "
            "returns fewer fields: the app shows the change, and makes it where nothing misses "
            "them and the flow is named: "
            "cmkflow remediation start ENVIRONMENT --mode prepare --flow ID."
        ),
        "Or delete the action.",
    ),
    MmkReason.PARENT_OF_MMK_FLOW: (
        (
            "Settle the flows that it runs first: if they can move by themselves, it moves "
            "with them. Else it is copied with its family."
        ),
    ),
    MmkReason.UNEXPLAINED: (
        "Ask Microsoft's support why the flow cannot move; else copy it after the key is applied.",
    ),
}
_AFTER = {
    **_BEFORE,
    MmkReason.POWER_APPS_V1_OUTSIDE_SOLUTION: (
        "Copy it (Save as), and let the apps that run it use the copy: order a remediation.",
    ),
    MmkReason.HTTP_TRIGGER: (
        (
            "Copy it (Save as), and give the systems that call it the URL of the copy: order a "
            "remediation."
        ),
    ),
    MmkReason.TEAMS_TRIGGER: (
        "Copy it (Save as), and let Teams and all callers use the copy: order a remediation.",
    ),
    MmkReason.LIST_FLOWS_AS_ADMIN_V1: (
        (
            "Change the action List flows as Admin (V1) to V2. V2 returns fewer fields: the app "
            "shows the change, and makes it where nothing misses them and the flow is named: "
            "cmkflow remediation start ENVIRONMENT --mode apply --flow ID."
        ),
        "Or delete the action.",
    ),
    MmkReason.PARENT_OF_MMK_FLOW: (
        "Copy it with its family, the flows that it runs first: order a remediation.",
    ),
    MmkReason.UNEXPLAINED: (
        (
            "Copy it (Save as): order a remediation. Ask Microsoft's support if the copy is listed "
            "as well."
        ),
    ),
}
_MANAGED = (
    "It belongs to a managed solution: change or copy it in the source environment, release the "
    "solution, then assess again."
)


def advice_for(
    reasons: Collection[MmkReason], *, is_before: bool, is_managed: bool
) -> tuple[str, ...]:
    """Return what to do, before the key is applied or after it."""
    texts = _BEFORE if is_before else _AFTER
    advice = [text for reason in reasons for text in texts[reason]]
    return (_MANAGED, *advice) if is_managed else tuple(advice)
