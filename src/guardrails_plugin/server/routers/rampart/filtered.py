"""Rampart: what the filter answers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

__all__ = ["Entity", "Filtered", "Found", "Injection", "Toxicity"]


class Entity(BaseModel):
    """Personal data; offsets are code points of the content."""

    type: str
    value: str
    start: int
    end: int
    confidence: float
    label: str | None = None


class Toxicity(BaseModel):
    """Probabilities by label, and whether one reached the threshold."""

    toxicity: float
    severe_toxicity: float
    obscene: float
    sexually_explicit: float
    insult: float
    threat: float
    identity_attack: float
    is_toxic: bool
    label: Literal["toxic", "not_toxic"]


class Injection(BaseModel):
    """Whether the content tries to take the model over; ``patterns_matched`` are the kinds of rules that matched."""

    is_injection: bool
    confidence: float
    risk_score: float
    recommendation: Literal["BLOCK", "FLAG", "MONITOR", "ALLOW"]
    patterns_matched: list[str]


class Found(BaseModel):
    """What was found, without the content.

    Attributes:
        is_safe: no injection, no abuse, no sensitive topic, and no personal data left in clear (web addresses aside).
        toxicity_scores: null when not asked for; likewise prompt_injection and sensitive_topics.
    """

    id: str
    is_safe: bool
    toxicity_scores: Toxicity | None
    prompt_injection: Injection | None
    sensitive_topics: list[str] | None
    filters_applied: list[str]
    template_pack: str | None
    analyzed_at: str
    processing_time_ms: float
    trace_id: str | None


class Filtered(Found):
    """What was found in a content, and the content.

    Attributes:
        filtered_content: with ``[EMAIL_REDACTED]`` and the like; null when nothing was changed.
    """

    original_content: str
    filtered_content: str | None
    pii_detected: list[Entity]
