"""Read from an app how to sign in to it."""

from cmkflow.api_client import ApiCall, ApiClient, ApiError, ExitCode
from cmkflow.profiles import Profile
from shared.domain.clouds import CloudName


def add_scheme(address: str) -> str:
    """Add `https://` to an address without a scheme. An empty address stays empty."""
    return address if "://" in address or not address else f"https://{address}"


def read_sign_in_configuration(url: str, *, debug: bool = False) -> Profile:
    """Read from an app how to sign in to it, as a profile. Needs no sign-in.

    Raises `ApiError` if the app does not answer, or has no sign-in.
    """
    call = ApiCall(method="GET", path=("sign-in-configuration",), needs_sign_in=False)
    try:
        answer = ApiClient(url=url, is_debug=debug).send(call)
        profile = Profile(
            api=url,
            tenant_id=str(answer["tenant_id"]),
            client_id=str(answer["client_id"]),
            audience=str(answer["audience"]),
            cloud=CloudName(answer["cloud"]),
        )
    except ApiError as err:
        if err.exit_code in (ExitCode.SERVICE_UNAVAILABLE, ExitCode.USAGE_ERROR):
            raise
        raise _build_unknown_sign_in_error(url) from None
    except (KeyError, TypeError, ValueError):
        raise _build_unknown_sign_in_error(url) from None
    if not profile.tenant_id or not profile.client_id:
        raise _build_unknown_sign_in_error(url)
    return profile


def _build_unknown_sign_in_error(url: str) -> ApiError:
    return ApiError(
        f"{url} does not say how to sign in: sign-in is off, or it is another app. Set "
        "--tenant and --client-id (CMKFLOW_TENANT_ID, CMKFLOW_CLIENT_ID).",
        ExitCode.ACTION_REQUIRED,
    )
