"""Datasets in; metrics, curves and thresholds out.

>>> from guardrails_plugin import Engine
>>> from guardrails_plugin.evaluation import Row, groups, score_rows
>>> rows = [Row(text="My SSN is 536-90-4399.", label=1), Row(text="See you on Monday.", label=0)]
>>> scored = score_rows(Engine(), "pii", rows)
>>> groups(scored, 0.5)["all"].recall
Interval(value=1.0, low=0.206..., high=1.0)
"""

from guardrails_plugin.evaluation.datasets import Row, read_rows
from guardrails_plugin.evaluation.evaluate import GROUPINGS, Scored, groups, score_rows
from guardrails_plugin.evaluation.metrics import Interval, Quality

__all__ = ["GROUPINGS", "Interval", "Quality", "Row", "Scored", "groups", "read_rows", "score_rows"]
