"""Delete retired originals as early as the app permits it, while the scenario continues.

Afterwards, the Microsoft-key list no longer contains them.
"""

from datetime import UTC, datetime, timedelta

from local_cloud.demo.definitions import build_flow_id
from local_cloud.demo.scenario_context import APPROVER, ScenarioContext, ScenarioError
from local_cloud.demo.tenant import OPERATIONS

_DELETED = tuple(build_flow_id(OPERATIONS.name, slug) for slug in ("stock", "invoices"))
_KEPT = build_flow_id(OPERATIONS.name, "partners")
#: Time for the request, if the first permitted time has passed already.
_SOON = timedelta(seconds=2)


class DeletionScene:
    def __init__(self, stage: ScenarioContext) -> None:
        self._stage = stage
        self._remediation = ""
        self._shown: set[str] = set()

    async def schedule(self, remediation: str) -> None:
        """Schedule the deletion of three retired originals, then cancel one of these deletions."""
        stage, where = self._stage, f"remediations/{remediation}/deletions"
        candidates = (await stage.app.get(where))["deletable_originals"]
        chosen = [one for one in candidates if one["original_id"] in (*_DELETED, _KEPT)]
        if len(chosen) != len(_DELETED) + 1:
            raise ScenarioError("not all originals that are to be deleted are retired")
        earliest = [datetime.fromisoformat(one["earliest_delete_at"]) for one in chosen]
        moment = max(*earliest, datetime.now(UTC) + _SOON)
        body = {
            "delete_at": moment.isoformat(),
            "flow_ids": [*_DELETED, _KEPT],
            "approved_by": APPROVER,
        }
        await stage.app.post(where, body)
        titles = ", ".join(sorted(one["display_name"] for one in chosen))
        stage.note(
            f"The retired originals of {titles} are to be deleted at {moment:%H:%M:%S} UTC, "
            "the first moment allowed."
        )
        await stage.app.post(f"{where}/cancel", {"flow_ids": [_KEPT], "cancelled_by": APPROVER})
        stage.note("Hear from partners is kept: the deletion of its original is cancelled.")
        self._remediation = remediation
        stage.observers.append(self._show_deletions)

    async def wait_for_deletions(self) -> None:
        """Wait until two originals are deleted and no longer on the Microsoft-key list."""
        what = "two originals deleted and off the list of flows on Microsoft's key"
        await self._stage.wait_until(lambda: len(self._shown) == len(_DELETED), what)
        self._stage.note("Both originals are no longer on the list of flows on Microsoft's key.")

    def _show_deletions(self) -> None:
        detail = self._stage.watcher.get_remediation(self._remediation)
        runs = {archive["job_id"]: archive["runs"] for archive in detail["run_archives"]}
        for one in detail["deletions"]:
            title = one["display_name"]
            if one["state"] == "blocked":
                raise ScenarioError(f"deletion of {title} blocked: {one['message']}")
            is_gone = one["state"] == "deleted" and one["is_on_microsoft_key_list"] is False
            if is_gone and one["original_id"] not in self._shown:
                self._shown.add(one["original_id"])
                number = runs.get(one["job_id"], 0)
                self._stage.note(
                    f"{number} run summaries of {title} are archived, and its original is deleted."
                )
