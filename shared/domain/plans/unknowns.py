"""Define the unknowns of a plan: facts that the app cannot read before it changes a flow.

What can be known is read before an original is turned off (`retiring/check_restart.py`).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A fact that the app cannot read before a migration, and what could happen because of it."""

    #: A few words, for a list.
    title: str
    #: The full text, which a plan item stores.
    text: str
    #: What could happen, one or two sentences.
    consequence: str


_CANNOT_BE_TURNED_ON = (
    "If one of these prevents it, the copy cannot be turned on, and the original stays in use. "
    "After a cutover or in a rollback, both can be off until a person acts."
)
#: Unknowns of every flow that is on and gets a copy.
OF_EVERY_COPY = (
    Unknown(
        title="data policies",
        text="Whether a data policy would prevent turning it or its copy on. Now it is on.",
        consequence=_CANNOT_BE_TURNED_ON,
    ),
    Unknown(
        title="the owner's right to other people's connections",
        text=(
            "Whether its owner may still use other people's connections. The platform checks that "
            "when it is turned on."
        ),
        consequence=_CANNOT_BE_TURNED_ON,
    ),
    Unknown(
        title="licences for connectors other than HTTP",
        text=(
            "Whether its owner's licence covers its connectors. The app checks that only for HTTP."
        ),
        consequence=_CANNOT_BE_TURNED_ON,
    ),
)
#: For a flow without a row in Dataverse, the app cannot act for the owner
#: (platform.md#rows-of-flows).
OUTSIDE_SOLUTIONS = Unknown(
    title="whether the app may turn a flow outside solutions on again",
    text=(
        "Whether the app or the service account may turn it on again, because it is in no solution."
    ),
    consequence="If not, its owner has to turn it on after a rollback or a failed cutover.",
)
UNKNOWN_CALLERS = Unknown(
    title="callers whose URL matches no known flow",
    text="Who calls it by its trigger URL, because callers hold URLs that match no flow.",
    consequence=(
        "A caller that the app does not find keeps calling the original. The original stays on "
        "until these calls end."
    ),
)
UNCHECKED_POLICIES = Unknown(
    title="whether Azure Policy denies the change of a caller",
    text=(
        "Whether Azure Policy denies the change of a caller: the app could not check that. It "
        "needs the role Reader on the resource group."
    ),
    consequence=(
        "If a policy denies the change, the job is blocked with its name. The original stays on."
    ),
)
READERS_OF_APP_CONFIGURATION = Unknown(
    title="whether the readers of App Configuration resolve Key Vault references",
    text=(
        "Whether each reader of its keys in App Configuration resolves Key Vault references and "
        "may read the vault."
    ),
    consequence=(
        "A reader that does not may fail to start, or have no URL to call. The original stays on "
        "only for readers that have the old URL. Roll the flow back to restore the keys."
    ),
)
_BY_TEXT = {
    one.text: one
    for one in (
        *OF_EVERY_COPY,
        OUTSIDE_SOLUTIONS,
        UNKNOWN_CALLERS,
        UNCHECKED_POLICIES,
        READERS_OF_APP_CONFIGURATION,
    )
}


def find_unknown_by_text(text: str) -> Unknown:
    """Return the unknown that has this text. If this version of the app does not know the text, the
    unknown's `consequence` is empty.
    """
    return _BY_TEXT.get(text) or Unknown(title=text, text=text, consequence="")
