"""Play the scene of a declared caller: an outside system that the app cannot find.

The app writes the new URL into a secret that the system reads. The system's owner confirms the
change late; until then, the app keeps the original on.
"""

from typing import Any

from local_cloud.demo.definitions import build_flow_id
from local_cloud.demo.received_notifications import PEOPLE
from local_cloud.demo.scenario_context import ScenarioContext, ScenarioError
from local_cloud.demo.scope import APPLICATION_VAULT
from local_cloud.demo.tenant import CUSTOMER_CARE

type Json = dict[str, Any]

#: A system of systems.py, which reads its URL from this secret before each call.
CALLER = "complaint form"
_COMPLAINT = build_flow_id(CUSTOMER_CARE.name, "complaint")
_SECRET = f"https://{APPLICATION_VAULT}.vault.azure.net/secrets/complaint-url"
#: Why a job is blocked until somebody has changed a caller.
MANUAL = "manual_caller"


class DeclaredCallerScene:
    def __init__(self, stage: ScenarioContext) -> None:
        self._stage = stage
        self._is_confirmed = False

    async def begin(self) -> None:
        """Declare the complaint form as a caller that reads its URL from a secret."""
        flow = {
            "environment_id": CUSTOMER_CARE.id,
            "flow": _COMPLAINT,
            "new_url_secret": _SECRET,
        }
        caller = {
            "name": CALLER,
            "owner": "Alex Wilber",
            "contact": "alex@contoso.example",
            "flows": [flow],
            "max_url_length": 400,
        }
        await self._stage.app.post("declared-callers", {"callers": [caller]})
        self._stage.note(f"The owner of the {CALLER} declares it as a caller of Take complaints.")

    async def confirm_if_notified(self) -> None:
        """Confirm the new URL once, after the app has asked for it.

        Raises `ScenarioError` if the original is off before that.
        """
        job = self._stage.find_job(CUSTOMER_CARE, _COMPLAINT)
        if self._is_confirmed or job.get("reason_code") != MANUAL:
            return
        if not await self._is_notified():
            return
        self._is_confirmed = True
        where = f"/environments/{CUSTOMER_CARE.id}/flows/{_COMPLAINT}"
        original: Json = await self._stage.platform.call_control("GET", where)
        if original["state"] != "Started":
            raise ScenarioError("the original of Take complaints is off before its confirmation")
        self._stage.note(
            f"The no-call period of Take complaints is over. Its original stays on, because the "
            f"{CALLER} is not confirmed."
        )
        confirmation = {"name": CALLER, "flow": _COMPLAINT, "confirmed_by": "Alex Wilber"}
        await self._stage.app.post("declared-callers/confirm", confirmation)
        self._stage.note(f"Its owner confirms that the {CALLER} calls the copy.")

    async def _is_notified(self) -> bool:
        received: list[Json] = await self._stage.platform.call_control("GET", "/received-messages")
        title = f"The update of {CALLER} is not confirmed"
        return PEOPLE.keys() <= {
            one["receiver"] for one in received if one["title"].startswith(title)
        }
