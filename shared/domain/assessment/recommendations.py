"""Recommend what to do about a flow that stays, in the order of Microsoft's documents."""

from collections.abc import Collection

from shared.domain.plans.microsoft_key_reason import MicrosoftKeyReason

_MANAGED = (
    "It belongs to a managed solution. Change or copy it in the environment where the solution "
    "is developed, import the solution again, then assess again."
)


def list_recommendations(
    reasons: Collection[MicrosoftKeyReason], *, is_before: bool, is_managed: bool
) -> tuple[str, ...]:
    """Return the recommendations for these reasons, the preferred one first.

    `is_before`: the key is not applied yet.
    """
    categories = [reason.category for reason in reasons]
    advice = [text for one in categories for text in (one.before if is_before else one.after)]
    return (_MANAGED, *advice) if is_managed else tuple(advice)
