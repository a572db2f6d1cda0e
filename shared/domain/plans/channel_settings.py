"""Define the settings of notification channels, and check their values."""

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import urlsplit

from shared.errors import UnusableSetting

EVENT_GRID_TOPIC = "CMK_EVENT_GRID_TOPIC"
WEBHOOK = "CMK_WEBHOOK"
WEBHOOK_SECRET = "CMK_WEBHOOK_SECRET"  # noqa: S105 -- a name
TEAMS_WEBHOOK = "CMK_TEAMS_WEBHOOK"
#: By the channel's name; the log has none.
SETTINGS_OF: Mapping[str, tuple[str, ...]] = {
    "event_grid": (EVENT_GRID_TOPIC,),
    "webhook": (WEBHOOK, WEBHOOK_SECRET),
    "teams": (TEAMS_WEBHOOK,),
}
#: Shortest key that Standard Webhooks allows, in bytes.
SHORTEST_KEY = 24
_KEY_PREFIX = "whsec_"
_REFERENCE = "@microsoft.keyvault("


def require_usable_address(setting: str, value: str, *, domain: str = "") -> str:
    """Return the URL if it is usable.

    Raises `UnusableSetting` if it is not an HTTPS URL, is not in the domain, or is a reference to
    Key Vault.
    """
    _require_resolved(setting, value)
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    is_plain = value.isascii() and value.isprintable() and " " not in value
    if parts.scheme != "https" or not host or parts.username is not None or not is_plain:
        raise _build_unusable_setting(setting, "is not an HTTPS URL", "Set it to an HTTPS URL.")
    if domain and not f".{host}".endswith(f".{domain}"):
        raise _build_unusable_setting(
            setting, f"is not a URL of {domain}", f"Set it to one of {domain}."
        )
    return value


def require_usable_signing_key(setting: str, value: str) -> bytes:
    """Return the decoded signing key.

    Raises `UnusableSetting` if it is empty, too short or not base64, or is a reference to Key
    Vault.
    """
    _require_resolved(setting, value)
    wanted = f"Set it to whsec_ and at least {SHORTEST_KEY} random bytes in base64."
    if not value:
        raise _build_unusable_setting(setting, "is empty, but the webhook has to be signed", wanted)
    try:
        key = base64.b64decode(value.removeprefix(_KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise _build_unusable_setting(setting, "is not base64", wanted) from None
    if len(key) < SHORTEST_KEY:
        raise _build_unusable_setting(
            setting, f"is a key of {len(key)} bytes, which is too short", wanted
        )
    return key


def format_channel_setting_names(channel: str) -> str:
    """Return the names of the settings of a channel for people, or "" if it has none."""
    return " and ".join(SETTINGS_OF.get(channel, ()))


def _require_resolved(setting: str, value: str) -> None:
    """Raise `UnusableSetting` if the value is a Key Vault reference.

    App Service passes on the reference if it cannot resolve it.
    """
    if value.strip().lower().startswith(_REFERENCE):
        raise _build_unusable_setting(
            setting,
            "is a reference to Key Vault that App Service could not resolve",
            "Grant the app's identity the role Key Vault Secrets User on the vault. Check that the "
            "secret exists and that the vault's firewall allows the app, then restart the app.",
        )


def _build_unusable_setting(setting: str, why: str, fix: str) -> UnusableSetting:
    return UnusableSetting(f"{setting} {why}.", fix=fix)
