"""Check the conditions `If-Match` and `If-None-Match` of writes to Dataverse rows.

See platform.md#conditional-writes.
"""

from starlette.requests import Request

from local_cloud.tenant.core.platform_error import SimulatedPlatformError


def require_conditions(request: Request, *, entity: str, row_id: str, version: int | None) -> None:
    """Reject a write whose condition is not met.

    `version` is the row's version; None means that the row does not exist.
    """
    wanted = request.headers.get("If-Match")
    if version is None and wanted is not None:
        raise build_missing_row_error(entity, row_id)
    if version is not None and request.headers.get("If-None-Match") == "*":
        message = "A record with matching key values already exists."
        raise SimulatedPlatformError(412, "0x80040237", message)
    if version is not None and wanted not in (None, "*", f'W/"{version}"'):
        message = (
            "The version of the existing record doesn't match the RowVersion property provided."
        )
        raise SimulatedPlatformError(412, "0x80060882", message)


def build_missing_row_error(entity: str, row_id: str) -> SimulatedPlatformError:
    return SimulatedPlatformError(404, "0x80040217", f"{entity} With Id = {row_id} Does Not Exist")
