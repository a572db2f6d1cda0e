"""Test that an invocation that continues after a long pause violates no invariant."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from local_cloud.tenant.core.profiles import Profile
from shared.reason import Reason
from shared.services import Services
from shared.use_cases import change_remediation
from tests.fakes.crash import Moment
from tests.fakes.pause import PauseBefore
from tests.property.examples import count_examples
from tests.property.interrupted import (
    MINUTE,
    PREPARED,
    Interrupted,
    Order,
    Strike,
    build_copied,
    build_prepared,
)
from tests.property.test_remediation_invariants import tenants

#: The host ends a function after ten minutes (host.json): nothing sleeps for longer and wakes.
sleeps = st.integers(1, 9).map(lambda minutes: timedelta(minutes=minutes, seconds=30))
moments = st.sampled_from(Moment)
seeds = st.integers(0, 10_000)
profiles = st.sampled_from(Profile)
NEVER = Strike(at=0, moment=Moment.BEFORE, sleep=None)
UNDO = [change_remediation.cancel, change_remediation.roll_back]


def draw_pauses(calls: int) -> st.SearchStrategy[Strike]:
    return st.builds(Strike, at=st.integers(1, calls), moment=moments, sleep=sleeps)


def run_to_end(interrupted: Interrupted, order: Order | None = None, after: int = 0) -> None:
    """Remediate to the end. Request `order` this number of minutes after the pause has begun."""
    asyncio.run(interrupted.play(order, after=after * MINUTE))


@settings(max_examples=count_examples(60))
@given(ingredients=tenants, seed=seeds, pause=draw_pauses(500), profile=profiles)
# A list that does not show a connection reference yet that the job itself has made.
@example(
    ingredients=["family", "keyword"],
    seed=2523,
    pause=Strike(at=9, moment=Moment.AFTER, sleep=timedelta(seconds=330)),
    profile=Profile.ADVERSARIAL,
)
def test_paused_invocation_does_not_change_the_result(
    ingredients: list[str], seed: int, pause: Strike, profile: Profile
) -> None:
    run_to_end(build_copied(ingredients, pause, seed=seed, profile=profile))


@settings(max_examples=count_examples(60))
@given(
    ingredients=tenants,
    seed=seeds,
    pause=draw_pauses(500),
    after=st.integers(0, 9),
    undo=st.sampled_from(UNDO),
    profile=profiles,
)
def test_rollback_during_a_paused_invocation_reverts_everything(
    ingredients: list[str], seed: int, pause: Strike, after: int, undo: Order, profile: Profile
) -> None:
    run_to_end(build_copied(ingredients, pause, seed=seed, profile=profile), undo, after)


@settings(max_examples=count_examples(40))
@given(
    seed=seeds,
    number=st.integers(1, 3),
    sleep=st.integers(5, 9).map(lambda minutes: minutes * MINUTE),
    after=st.integers(0, 12),
    undo=st.sampled_from([None, *UNDO]),
    ordered=st.integers(0, 12),
)
def test_new_secret_version_during_a_paused_invocation_is_kept_or_reported(
    seed: int, number: int, sleep: timedelta, after: int, undo: Order | None, ordered: int
) -> None:
    async def send_alert() -> None:
        interrupted = build_copied(["key_vault_secret"], NEVER, seed=seed)
        scenario = interrupted.scenario
        scenario.driver.plan = PauseBefore(
            call="FakeSecrets.write", number=number, sleeps=sleep, clock=scenario.world.clock
        )
        [secret] = scenario.world.secrets.values()

        async def change(services: Services, remediation_id: str) -> None:
            secret.versions.append(scenario.world.create_secret_version(f"new {secret.value}"))
            if undo:
                await scenario.run(ordered * MINUTE)
                await undo(services, remediation_id)

        await interrupted.run_to_end(change, after=after * MINUTE)
        told = [one.reason_code for one in scenario.fakes.notices.told]
        assert secret.value.startswith("new ") or Reason.STALE_WRITE in told

    asyncio.run(send_alert())


@pytest.mark.parametrize("name", PREPARED)
@example(
    # A refused save removes connection references, and the cancel restores them.
    seed=0,
    pause=Strike(at=1, moment=Moment.BEFORE, sleep=timedelta(seconds=90)),
    after=0,
    order=change_remediation.cancel,
    profile=Profile.ADVERSARIAL,
)
@settings(max_examples=count_examples(40))
@given(
    seed=seeds,
    pause=draw_pauses(150),
    after=st.integers(0, 9),
    order=st.sampled_from([None, change_remediation.retry, *UNDO]),
    profile=profiles,
)
def test_paused_preparation_does_not_change_the_result(
    name: str, seed: int, pause: Strike, after: int, order: Order | None, profile: Profile
) -> None:
    run_to_end(build_prepared(name, pause, seed=seed, profile=profile), order, after)
