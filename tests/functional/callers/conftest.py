import pytest

from tests.functional.callers.called_tenant import Tenant


@pytest.fixture
def tenant() -> Tenant:
    return Tenant()
