"""Requests made up from the OpenAPI description, good and bad: no fault, and answers of the described shape."""

from __future__ import annotations

from contextlib import suppress

import pytest
from service_client import Served


def ask_everything(running: Served) -> set[str]:
    """Asks every place of a service; the places."""
    schemathesis = pytest.importorskip("schemathesis", reason="not installed")
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis.errors import Unsatisfiable

    schema = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    headers = {"Authorization": running.client.headers["authorization"]}
    seen: set[str] = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in schemathesis.GenerationMode:

            @settings(
                max_examples=40, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck), database=None,
            )  # fmt: skip
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: schemathesis.Case) -> None:
                response = case.call(headers=headers)
                assert response.status_code != 500, response.text
                case.validate_response(
                    response,
                    checks=[
                        schemathesis.checks.not_a_server_error,
                        schemathesis.checks.status_code_conformance,
                        schemathesis.checks.content_type_conformance,
                        schemathesis.checks.response_schema_conformance,
                    ],
                )

            with suppress(Unsatisfiable):  # a place that takes nothing can be asked nothing wrong
                ask()
        seen.add(operation.path)
    return seen
