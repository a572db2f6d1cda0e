import pytest

from shared.domain.callers.caller import Caller
from shared.domain.clouds import PUBLIC
from shared.domain.plans.url_limits import describe_url_limits, estimate_url_length
from tests.fakes.builder import Builder
from tests.fakes.world import World

HOST = "6f0a1d6e8f3b4a549d0a2f6b7c1e9d.11.environment.api.powerplatform.com"


def build_limited_caller(*, length: int | None = None, hosts: tuple[str, ...] = ()) -> Caller:
    return Caller(
        kind="any",
        address="a",
        label="till",
        resource_id="r",
        max_url_length=length,
        allowed_hosts=hosts,
    )


@pytest.mark.parametrize("form", ["capacity_unit", "environment", "logic_apps"])
def test_no_url_of_the_platform_is_longer_than_expected(form: str) -> None:
    """The expected length is that of the longest known form."""
    build = Builder(World())
    flow = build.add_http_flow("Original")
    flow.url_form = form

    expected = estimate_url_length(PUBLIC.derive_environment_host(build.environment.id), "manual")

    assert len(build.get_trigger_url(flow)) <= expected
    assert form != "capacity_unit" or len(build.get_trigger_url(flow)) == expected


def test_a_field_that_is_too_short_is_named_with_both_lengths() -> None:
    length = estimate_url_length(HOST, "manual")

    text = describe_url_limits(HOST, "manual", build_limited_caller(length=length - 1))

    assert f"URLs of {length - 1} characters" in text
    assert f"may have {length}" in text
    assert describe_url_limits(HOST, "manual", build_limited_caller(length=length)) == ""


def test_a_long_trigger_name_counts_in_its_encoded_form() -> None:
    """The name is in the URL twice: once in the path, once in the query."""
    assert estimate_url_length(HOST, "a b") - estimate_url_length(HOST, "ab") == 8


@pytest.mark.parametrize(
    ("hosts", "is_allowed"),
    [
        ((), True),
        ((HOST,), True),
        (("*.environment.api.powerplatform.com",), True),
        (("x.example", "*.powerplatform.com"), True),
        (("*.logic.azure.com",), False),
        (("environment.api.powerplatform.com",), False),
        (("*.api.powerplatform.com.example",), False),
    ],
)
def test_a_host_that_is_not_allowed_is_named(hosts: tuple[str, ...], is_allowed: bool) -> None:
    """A pattern such as `*.example` allows only subdomains."""
    text = describe_url_limits(HOST, "manual", build_limited_caller(hosts=hosts))

    assert (text == "") is is_allowed
    assert is_allowed or HOST in text
