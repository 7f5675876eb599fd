"""The OpenAPI document is complete, needs no network, and the service keeps to it."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from openapi_spec_validator import validate
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    status_code_conformance,
)

from geoserver_py.surface import operations
from tests.service.conftest import City

EXAMPLES = 12
"""Requests that schemathesis makes up for each operation; the nightly run may ask for more."""


def test_document_is_valid_openapi_without_remote_references(client: httpx.Client) -> None:
    document = client.get("/openapi").json()
    validate(document)
    assert not re.findall(r'"\$ref":\s*"(?!#)', client.get("/openapi").text)
    identifiers = [
        item["operationId"] for methods in document["paths"].values() for item in methods.values()
    ]
    assert len(identifiers) == len(set(identifiers))


def test_every_operation_is_documented(client: httpx.Client) -> None:
    paths = client.get("/openapi").json()["paths"]
    for operation in operations():
        path = re.sub(r":\w+\}", "}", operation.path)
        concrete = path.replace("{collectionId}", "road")
        assert operation.method.lower() in paths.get(path, paths.get(concrete, {})), path


def test_document_grows_with_the_key(client: httpx.Client, city: City) -> None:
    public = client.get("/openapi").text
    keyed = client.get("/openapi", headers={"X-API-Key": city.restricted_key}).text
    assert "pipeline_line" not in public
    assert "/collections/pipeline_line/items" in keyed


def _problem_on_refusal(ctx: Any, response: Any, case: Any) -> None:
    if response.status_code >= 400 and response.text.lower().startswith("<!doctype html"):
        assert re.search(
            r"[?&]f=html", response.request.url
        )  # who asks for a page is refused by one
        assert re.search(r"<h1>\S", response.text)
    elif response.status_code >= 400:
        problem = response.json()
        assert problem["status"] == response.status_code
        assert problem["detail"]


@pytest.mark.slow
def test_made_up_requests_are_answered_as_documented(city: City) -> None:
    schema = schemathesis.openapi.from_url(f"{city.url}/openapi")
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
            database=None,
            derandomize=True,
        )
        @_given(operation)
        def made_up(case: Any) -> None:
            response = case.call(base_url=city.url)
            case.validate_response(
                response,
                checks=(
                    not_a_server_error,
                    content_type_conformance,
                    status_code_conformance,
                    _problem_on_refusal,
                ),
            )

        made_up()


def _given(operation: Any) -> Any:
    from hypothesis import given

    return given(case=operation.as_strategy())
