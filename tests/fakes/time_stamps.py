"""Fake of the port `TimeStamps`, with the clock of the tenant in memory."""

from functools import cached_property

from local_cloud.tenant.time_stamps.token_signer import TokenSigner
from shared.time_stamps import build_time_stamp_query, require_granted_time_stamp
from tests.fakes.world import WorldFake


class FakeTimeStamps(WorldFake):
    @cached_property
    def signer(self) -> TokenSigner:
        return TokenSigner("Contoso time stamps", self._world.clock.now())

    async def stamp(self, authority: str, content: bytes) -> bytes:
        query = build_time_stamp_query(content)
        answer = self.signer.answer(query.as_bytes(), self._world.clock.now())
        require_granted_time_stamp(answer, query)
        return answer
