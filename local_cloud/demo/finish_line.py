"""The last act: retired originals are deleted on the first day allowed, so that no list names them.

The deletes are ordered as soon as the originals are retired, and made while the story goes on.
"""

from datetime import UTC, datetime, timedelta

from local_cloud.demo.definitions import flow_id
from local_cloud.demo.stage import APPROVER, Stage, StoryError
from local_cloud.demo.tenant import OPERATIONS

_DELETED = tuple(flow_id(OPERATIONS.name, slug) for slug in ("stock", "invoices"))
_KEPT = flow_id(OPERATIONS.name, "partners")
#: What the order and its answer may take, where the first day allowed has come already.
_SOON = timedelta(seconds=2)


async def order(stage: Stage, identity: str) -> None:
    """Approve the deletes of three originals of a remediation, and keep one of them after all."""
    where = f"remediations/{identity}/deletions"
    candidates = (await stage.app.get(where))["candidates"]
    chosen = [one for one in candidates if one["original_id"] in (*_DELETED, _KEPT)]
    earliest = [datetime.fromisoformat(one["earliest"]) for one in chosen]
    moment = max(*earliest, datetime.now(UTC) + _SOON)
    body = {"on": moment.isoformat(), "flows": [*_DELETED, _KEPT], "by": APPROVER}
    await stage.app.post(where, body)
    titles = ", ".join(sorted(one["display_name"] for one in chosen))
    stage.note(
        f"Three retired originals are to be deleted at {moment:%H:%M:%S} UTC, the first moment "
        f"allowed: {titles}."
    )
    await stage.app.post(f"{where}/cancel", {"flows": [_KEPT], "by": APPROVER})
    stage.note("The partners want theirs kept: the delete of that one is cancelled.")


async def cross(stage: Stage, identity: str) -> None:
    """Wait until the deletes are made and the originals have left the list of flows."""
    await stage.until(
        lambda: _are_gone(stage, identity), "two originals deleted and off Microsoft's list"
    )
    detail = stage.watcher.detail(identity)
    runs = {archive["job_id"]: archive["runs"] for archive in detail["run_archives"]}
    for one in detail["deletions"]:
        if one["state"] == "deleted":
            stage.note(
                f"The original of {one['display_name']} is deleted: {runs.get(one['job_id'], 0)} "
                "run summaries were archived before, and Microsoft's list names it no more."
            )


def _are_gone(stage: Stage, identity: str) -> bool:
    found = {one["original_id"]: one for one in stage.watcher.detail(identity)["deletions"]}
    for one in found.values():
        if one["state"] == "blocked":
            raise StoryError(f"the delete of {one['display_name']} is blocked: {one['reason']}")
    return all(
        flow in found and found[flow]["state"] == "deleted" and found[flow]["is_listed"] is False
        for flow in _DELETED
    )
