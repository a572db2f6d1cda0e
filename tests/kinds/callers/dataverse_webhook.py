"""A caller of the kind Dataverse webhook: its URL is the trigger URL."""

from tests.fakes.builder import Builder
from tests.kinds.case import IN_ROWS, CallerCase, seeded

CASE = CallerCase(
    add=Builder.webhook_caller,
    remove=lambda build: build.environment.rows.clear(),
    add_on_the_wire=seeded,
    is_by_hand=False,
    requests=IN_ROWS,
)
