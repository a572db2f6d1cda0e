"""A secret is the trigger URL, with a content type and tags that have to stay."""

from tests.fakes.builder import Builder
from tests.kinds.case import CallerCase, seeded

CASE = CallerCase(
    add=Builder.secret_caller,
    remove=lambda build: build.world.secrets.clear(),
    add_on_the_wire=seeded,
    is_by_hand=False,
)
