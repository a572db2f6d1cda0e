"""Test data of the caller kind *environment variable*."""

from tests.fakes.builder import Builder
from tests.kinds.case import CallerCase, SearchRequests, add_no_caller

CASE = CallerCase(
    add=Builder.add_variable_caller,
    remove=lambda build: build.environment.variables.clear(),
    add_on_the_wire=add_no_caller,
    is_by_hand=False,
    requests=SearchRequests(standard=3, without_places=3),
)
