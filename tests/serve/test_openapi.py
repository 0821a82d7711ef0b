from dataclasses import fields

from starlette.routing import Route

from tests.serve.serving import SETTINGS, served
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.serve.app import Endpoint
from tpo.serve.chat import OWN_FIELDS, ROLES
from tpo.serve.request import Controls
from tpo.serve.service import Service


async def test_the_document_holds_every_route_and_no_other() -> None:
    app = Endpoint(Service(ScriptedPolicy(), ScriptedReward(), SETTINGS, "m")).app()
    routes = {
        (route.path, method.lower())
        for route in app.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    async with served() as client:
        document = (await client.get("/openapi.json")).json
    assert {(path, method) for path, item in document["paths"].items() for method in item} == routes


async def test_the_document_holds_every_control_field_and_role() -> None:
    async with served() as client:
        schemas = (await client.get("/openapi.json")).json["components"]["schemas"]
    assert set(schemas["Controls"]["properties"]) == {field.name for field in fields(Controls)}
    chat = schemas["ChatRequest"]["properties"]
    assert chat["model"]["examples"] == ["m", "m@off"]
    assert set(chat) <= OWN_FIELDS
    assert set(chat["messages"]["items"]["properties"]["role"]["enum"]) == set(ROLES)
