"""The least a service could be: one FastAPI route round `Engine.check`. Nobody is recognised, counted or recorded.

It takes the body and gives the answer of our own route, so that what is compared is what the service adds. FastAPI
runs it on a thread of its pool, as its documentation advises for calls that block.
"""

from __future__ import annotations

from fastapi import FastAPI

from guardrails_plugin import Engine, Keyring
from guardrails_plugin.server.routers.native import CheckBody, Checked, checked
from tests.load.servers import RECIPE

__all__ = ["create_app"]


def create_app() -> FastAPI:
    """What uvicorn serves."""
    engine = Engine(recipes=RECIPE, keyring=Keyring.from_env())
    app = FastAPI()

    @app.get("/readyz")
    def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/check")
    def check(body: CheckBody) -> Checked:
        return checked(engine.check(body.content, stage=body.stage, recipe=body.recipe))

    return app
