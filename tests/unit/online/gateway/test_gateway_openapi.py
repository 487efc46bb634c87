"""The OpenAPI document: derived from the catalogue, true of the answers, with examples that fit."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import jsonschema
import pytest

from pipelines.core.clock import iso
from pipelines.online.gateway.errors import CODES
from tests import gateway_sample as sample
from tests.conftest import missing
from tests.gateway_sample import LocalClient


@pytest.fixture
def document(client: LocalClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def check(document: dict[str, Any], schema: Any, value: Any) -> None:
    """Raise unless `value` fits; formats and unknown fields count too."""
    root = {**schema, "components": document["components"]}
    validator = jsonschema.Draft202012Validator(
        root, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    validator.validate(value)


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


@pytest.mark.parametrize("member_id", ["anna", "bao", "chen", "dora", "nobody"])
@pytest.mark.parametrize("hours", [3, 30, 60])
def test_every_answer_fits_the_schema_of_its_service(
    client: LocalClient, document: dict[str, Any], member_id: str, hours: int
) -> None:
    now = iso(sample.AS_OF + hours * sample.DAY / 24)
    for service, name in (("chat_sidebar_v1", "ChatSidebarV1"), ("lenient_v1", "LenientV1")):
        answer = client.get(f"/v1/members/{member_id}?service={service}&now={now}").json()
        check(document, ref(name), answer)
        assert set(answer) <= set(document["components"]["schemas"][name]["properties"])
        body = {"service": service, "member_ids": [member_id], "now": now}
        check(document, ref("Members"), client.post("/v1/members:batch", json=body).json())
    check(document, ref("Tags"), client.get(f"/v1/members/{member_id}/tags").json())


def test_every_type_has_its_schema(client: LocalClient, document: dict[str, Any]) -> None:
    for member_id in ("full", "zero", "null"):
        answer = client.get(f"/v1/members/{member_id}?service=probe_v1").json()
        check(document, ref("ProbeV1"), answer)
    wrong = client.get("/v1/members/full?service=probe_v1").json()
    wrong["features"]["member_probe_v1"]["whole"]["value"] = "three"
    with pytest.raises(jsonschema.ValidationError):
        check(document, ref("ProbeV1"), wrong)


def test_other_answers_fit_too(client: LocalClient, document: dict[str, Any]) -> None:
    feast = {"feature_service": "probe_v1", "entities": {"member_id": ["full", "null", "no"]}}
    answer = client.post("/get-online-features", json=feast).json()
    check(document, ref("FeastResponse"), answer)
    check(document, ref("Services"), client.get("/v1/services").json())
    check(document, ref("Error"), client.get("/nowhere").json())


def test_examples_fit_their_schemas_and_requests_work(
    client: LocalClient, document: dict[str, Any]
) -> None:
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", []):
            check(document, ref(name), example)
    for path, methods in document["paths"].items():
        for method, spec in methods.items():
            if "requestBody" in spec:
                content = spec["requestBody"]["content"]["application/json"]
                check(document, content["schema"], content["example"])
                answer = client.request(method.upper(), path, json=content["example"])
                assert answer.status_code == 200, answer.text


def test_every_code_is_in_the_document(document: dict[str, Any]) -> None:
    """Only 404 for no such path and 500 belong to no operation."""
    text = str(document["paths"])
    assert [code for code in CODES if f"`{code}`" not in text] == ["internal"]


def test_descriptions_and_units_come_from_the_catalogue(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    orders = schemas["LenientV1_member_orders_v1"]["properties"]
    assert orders["last_order_at"]["description"] == "The last_order_at of a member."
    assert schemas["LenientV1"]["description"] == "What lenient_v1 is promised."


def test_a_service_keyed_by_more_than_the_member_is_offered_by_feasts_protocol_only(
    document: dict[str, Any],
) -> None:
    assert "StoreV1" not in document["components"]["schemas"]
    schema = document["paths"]["/get-online-features"]["post"]["requestBody"]["content"]
    request = schema["application/json"]["schema"]["properties"]
    assert "store_v1" in request["feature_service"]["enum"]
    assert set(request["entities"]["properties"]) == {"member_id", "store_id"}


def test_code_in_descriptions_is_shown_as_code(client: LocalClient) -> None:
    """The document is Markdown, of which descriptions use `code`; the page draws it."""
    node = shutil.which("node")
    if not node:
        missing("node", "put it on the path to test the page's script")
    script = re.search(r"function words\(.*?\n}\n", client.get("/docs").text, re.DOTALL)
    assert script
    probe = (
        "const document = {createElement: (tag) => ({tag})};"
        f"{script[0]}"
        "console.log(JSON.stringify([words('a `b` c', 'p'), words('a `b`', 'pre')]));"
    )
    said = subprocess.run([str(node), "-e", probe], capture_output=True, text=True, check=True)
    code = {"tag": "code", "textContent": "b"}
    assert json.loads(said.stdout) == [["a ", code, " c"], ["a `b`"]]


def test_the_page_loads_nothing_from_elsewhere(client: LocalClient) -> None:
    answer = client.get("/docs")
    assert "http" not in answer.text.replace("http://www.w3.org", "")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
