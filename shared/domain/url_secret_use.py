"""Define which callers of a flow refer to its URL secret."""

from enum import StrEnum


class UrlSecretUse(StrEnum):
    """Which callers of a flow refer to its URL secret, by the choice of an administrator."""

    NONE = "none"  #: none: every caller holds the URL
    VERIFIED_CALLERS = "verified_callers"  #: those that the app has checked can read the secret
    #: Also keys of App Configuration, whose readers the app does not know.
    WITH_APP_CONFIGURATION = "with_app_configuration"
