"""Recommend what to do about a flow that stays on Microsoft's key."""

from collections.abc import Collection

from shared.domain.plans.microsoft_key_reason import MicrosoftKeyReason

_MANAGED = (
    "It belongs to a managed solution. Change or copy it in the environment where the solution "
    "is developed, import the solution again, then assess again."
)


def list_recommendations(
    reasons: Collection[MicrosoftKeyReason], *, is_before: bool, is_managed: bool
) -> tuple[str, ...]:
    """Return what to do about a flow that stays for these reasons.

    `is_before`: the key is not applied yet.
    """
    categories = [reason.category for reason in reasons]
    advice = [text for one in categories for text in (one.before if is_before else one.after)]
    return (_MANAGED, *advice) if is_managed else tuple(advice)
