"""Rampart: test scenarios, run against the service as it is."""

from __future__ import annotations

from time import perf_counter

from fastapi import APIRouter
from pydantic import BaseModel

from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.guarding import complete
from guardrails_plugin.server.routers.rampart.detection import PERSONAL, RECIPE, pii_findings, pii_name, rules, worst
from guardrails_plugin.server.routers.rampart.scenarios import CATEGORIES, SCENARIOS, Category, Scenario
from guardrails_plugin.server.routers.rampart.security import Analyze, analyse
from guardrails_plugin.server.routers.rampart.settings import security_settings
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX, Body, milliseconds
from guardrails_plugin.server.services import Running, Services
from guardrails_plugin.types import Stage

__all__ = ["router"]

router = APIRouter(prefix=PREFIX, tags=["rampart"], responses=ERRORS)


class CategoryItem(BaseModel):
    """A kind of tests."""

    name: Category
    description: str
    test_count: int


class Run(Body):
    """Which tests; all when no category is named."""

    category: Category | None = None


class Found(BaseModel):
    """What came of a text."""

    threats_detected: list[str]
    risk_score: float
    blocked: bool


class Expected(BaseModel):
    """What should have."""

    threat: str
    should_block: bool


class RunItem(BaseModel):
    """One test."""

    scenario_id: str
    scenario_name: str
    passed: bool
    analysis_result: Found
    expected: Expected
    duration_ms: float


class RunResult(BaseModel):
    """All of them."""

    total_tests: int
    passed: int
    failed: int
    duration_ms: float
    results: list[RunItem]


@router.get("/test/scenarios")
async def list_scenarios() -> list[Scenario]:
    """All tests."""
    return list(SCENARIOS)


@router.get("/test/categories")
async def list_categories() -> list[CategoryItem]:
    """The kinds of tests, and how many there are of each."""
    counts = [scenario.category for scenario in SCENARIOS]
    return [
        CategoryItem(name=name, description=description, test_count=counts.count(name))
        for name, description in CATEGORIES.items()
    ]


@router.post("/test/run")
async def run_tests(exchange: Current, services: Running, body: Run | None = None) -> RunResult:
    """Run tests with the caller's settings."""
    began = perf_counter()
    block_from = (await security_settings(exchange, services)).block_threshold
    wanted = body.category if body else None
    items = [
        await _run(exchange, services, scenario, block_from)
        for scenario in SCENARIOS
        if wanted in (None, scenario.category)
    ]
    passed = sum(item.passed for item in items)
    return RunResult(
        total_tests=len(items),
        passed=passed,
        failed=len(items) - passed,
        duration_ms=milliseconds(perf_counter() - began),
        results=items,
    )


async def _run(exchange: Exchange, services: Services, scenario: Scenario, block_from: float) -> RunItem:
    began = perf_counter()
    look = _personal if scenario.category == "pii_detection" else _attack
    found = await look(exchange, services, scenario, block_from)
    return RunItem(
        scenario_id=scenario.id,
        scenario_name=scenario.name,
        passed=scenario.expected_threat in found.threats_detected and found.blocked == scenario.should_block,
        analysis_result=found,
        expected=Expected(threat=scenario.expected_threat, should_block=scenario.should_block),
        duration_ms=milliseconds(perf_counter() - began),
    )


async def _attack(exchange: Exchange, services: Services, scenario: Scenario, block_from: float) -> Found:
    side = "output" if scenario.category == "data_exfiltration" else "input"
    body = Analyze(content=scenario.test_input, context_type=side)  # type: ignore[arg-type]
    analysis = await analyse(exchange, services, body, block_from)
    return Found(
        threats_detected=[threat.threat_type for threat in analysis.threats_detected],
        risk_score=analysis.risk_score,
        blocked=any(threat.recommended_action == "block" for threat in analysis.threats_detected),
    )


async def _personal(exchange: Exchange, services: Services, scenario: Scenario, _block_from: float) -> Found:
    result = await services.guard.check(
        exchange, scenario.test_input, stage=Stage.PROMPT, recipe=RECIPE, overrides=rules(PERSONAL)
    )
    found = pii_findings(complete(result).findings)
    kinds = list(dict.fromkeys(pii_name(finding) for finding in found))
    return Found(threats_detected=kinds, risk_score=round(worst(found), 4), blocked=result.blocked)
