"""Rampart: template packs, presets that a key may carry."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from guardrails_plugin.recipes import builtin_packs
from guardrails_plugin.recipes.pack import Pack
from guardrails_plugin.server.problems import invalid, not_found
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX

__all__ = ["known_pack", "router"]

router = APIRouter(prefix=PREFIX, tags=["rampart"], responses=ERRORS)


class PackItem(BaseModel):
    """A template pack: what `/filter` does for a key with it, when the request says nothing else."""

    id: str
    name: str
    description: str
    use_cases: list[str]
    filters: list[str]
    redact: bool
    toxicity_threshold: float


@router.get("/template-packs")
async def list_packs() -> list[PackItem]:
    """All packs."""
    return [_item(pack) for pack in builtin_packs().values()]


@router.get("/template-packs/{pack_id}")
async def get_pack(pack_id: str) -> PackItem:
    """One pack."""
    pack = builtin_packs().get(pack_id)
    if pack is None:
        raise not_found("Template pack")
    return _item(pack)


def known_pack(name: str | None) -> str | None:
    """The name itself.

    Raises:
        ApiError: 400, there is no such pack.
    """
    if name is not None and name not in builtin_packs():
        raise invalid(f"template_pack: got {name[:40]!r}, valid: {', '.join(builtin_packs())} or null")
    return name


def _item(pack: Pack) -> PackItem:
    listing = pack.listing
    return PackItem(
        id=pack.name,
        name=pack.title or pack.name,
        description=pack.description,
        use_cases=list(listing.use_cases),
        filters=list(listing.filters),
        redact=listing.redact,
        toxicity_threshold=listing.toxicity_threshold,
    )
