"""What to do about a flow that stays, the recommended way first (the document's own table)."""

from collections.abc import Collection

from shared.domain.plans.microsoft_key_reason import MicrosoftKeyReason

_MANAGED = (
    "It belongs to a managed solution: change or copy it in the source environment, release the "
    "solution, then assess again."
)


def recommend(
    reasons: Collection[MicrosoftKeyReason], *, is_before: bool, is_managed: bool
) -> tuple[str, ...]:
    """Return what to do, before the key is applied or after it."""
    categories = [reason.category for reason in reasons]
    advice = [text for one in categories for text in (one.before if is_before else one.after)]
    return (_MANAGED, *advice) if is_managed else tuple(advice)
