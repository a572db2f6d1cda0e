from datetime import UTC, datetime, timedelta

import pytest

from local_cloud.tenant.azure.reachability import REFUSED
from shared.domain.flow import FailedAction, FlowRun
from shared.domain.network.blocked_call import (
    BlockedCallSymptom,
    find_symptom,
    group_symptoms_by_host,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
#: An error as Microsoft's documentation quotes it (platform.md#denied-calls).
SENTENCE = (
    "Http request failed as there is an error: 'No connection could be made because the target "
    "machine actively refused it'"
)


def build_action(message: str, *, code: str = "BadRequest", name: str = "Call") -> FailedAction:
    return FailedAction(name=name, code=code, message=message)


def build_run(minutes: int, status: str) -> FlowRun:
    began = NOW + timedelta(minutes=minutes)
    return FlowRun(run_id="r", started_at=began, ended_at=began, status=status, trigger_url_id=None)


@pytest.mark.parametrize(
    ("failed", "symptom"),
    [
        (build_action(SENTENCE), BlockedCallSymptom.CONNECTION_REFUSED),
        (build_action(REFUSED), BlockedCallSymptom.CONNECTION_REFUSED),
        (
            build_action(SENTENCE.upper(), code="ServiceUnavailable"),
            BlockedCallSymptom.CONNECTION_REFUSED,
        ),
        (build_action("", code="ActionTimedOut"), BlockedCallSymptom.TIMED_OUT),
        (build_action("A connection attempt failed because …"), BlockedCallSymptom.TIMED_OUT),
        (
            build_action("The server did not respond within the timeout limit."),
            BlockedCallSymptom.TIMED_OUT,
        ),
        (build_action("The request was refused: 403 Forbidden"), None),
        (build_action("", code="NotFound"), None),
    ],
)
def test_symptom_is_derived_from_the_text_of_the_error(
    failed: FailedAction, symptom: BlockedCallSymptom | None
) -> None:
    """If the called system has answered, even with a rejection, no firewall denied the request."""
    assert find_symptom(failed) is symptom


def test_only_http_actions_count_and_a_time_out_only_until_a_run_succeeds() -> None:
    """Connectors send their requests from other addresses."""
    failed, earlier, later = (
        build_run(0, "Failed"),
        build_run(-1, "Succeeded"),
        build_run(1, "Succeeded"),
    )
    hosts = {"Call": "erp.example", "Wait": "slow.example"}
    actions = [
        build_action(SENTENCE),
        build_action("timed out", name="Wait"),
        build_action(SENTENCE, name="Mail"),
    ]

    before = group_symptoms_by_host(failed, actions, hosts, [failed, earlier])
    after = group_symptoms_by_host(failed, actions, hosts, [later, failed, earlier])

    assert {host: symptom for host, (_, symptom) in before.items()} == {
        "erp.example": BlockedCallSymptom.CONNECTION_REFUSED,
        "slow.example": BlockedCallSymptom.TIMED_OUT,
    }
    assert [*after] == ["erp.example"]
