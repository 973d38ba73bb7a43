"""No request that the description allows, or nearly allows, makes the service fail."""

from __future__ import annotations

import pytest
from schemathesis_requests import ask_everything
from service_client import Served


@pytest.mark.slow
def test_no_request_makes_the_service_fail(fresh: Served) -> None:
    assert {"/v1/verify", "/v1/identify", "/v1/enrol", "/v1/forget", "/v1/cluster", "/v1/jobs/{id}"} <= ask_everything(
        fresh
    )
