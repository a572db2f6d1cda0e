"""Test data of the caller kind *Dataverse webhook*."""

from tests.fakes.builder import Builder
from tests.kinds.case import IN_ROWS, CallerCase, add_no_caller

CASE = CallerCase(
    add=Builder.add_webhook_caller,
    remove=lambda build: build.environment.rows.clear(),
    add_on_the_wire=add_no_caller,
    is_by_hand=False,
    requests=IN_ROWS,
)
