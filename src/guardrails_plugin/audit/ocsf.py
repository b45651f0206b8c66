"""Audit records as Open Cybersecurity Schema Framework events (OCSF 1.3), for security information systems.

A request in which something was found becomes a Detection Finding (class 2004 of category 2), any other an API
Activity (class 6003 of category 6). Names and numbers are the framework's; no content is in a record, so none is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

__all__ = ["ocsf_event"]

_VERSION = "1.3.0"
_ACTIVITY = {"POST": 1, "GET": 2, "HEAD": 2, "PUT": 3, "PATCH": 3, "DELETE": 4}
_OTHER = 99
_INFORMATIONAL, _LOW, _MEDIUM, _HIGH = 1, 2, 3, 4
_SEVERITY = {"block": _HIGH, "transform": _MEDIUM, "report": _LOW}
_ACTION = {"allow": 1, "block": 2, "report": 3, "transform": 4}
"""Allowed, denied, observed, modified."""
_DISPOSITION = {"allow": 1, "block": 2, "transform": 11, "report": 17}
"""Allowed, blocked, corrected, logged."""


def ocsf_event(record: Mapping[str, Any], product_version: str) -> dict[str, Any]:
    """One event for one record of the service's log.

    Args:
        record: as `SqlAudit.records` gives it.
        product_version: of this package.
    """
    return _finding(record, product_version) if record.get("findings") else _activity(record, product_version)


def _finding(record: Mapping[str, Any], version: str) -> dict[str, Any]:
    verdict = record["verdict"]
    found = record["findings"]
    types = sorted({kind for counts in found.values() for kind in counts})
    return {
        **_base(record, version),
        "category_uid": 2,
        "class_uid": 2004,
        "activity_id": 1,
        "type_uid": 200401,
        "severity_id": _SEVERITY.get(verdict, _INFORMATIONAL),
        "action_id": _ACTION.get(verdict, _OTHER),
        "disposition_id": _DISPOSITION.get(verdict, _OTHER),
        "is_alert": verdict == "block",
        "finding_info": {
            "uid": record["id"],
            "title": f"{', '.join(sorted(found))}: {', '.join(types)}",
            "types": types,
            "analytic": {"type_id": 1, "name": ", ".join(sorted(found))},
        },
        "evidences": [{"data": {"findings": found, "route": record["route"]}}],
    }


def _activity(record: Mapping[str, Any], version: str) -> dict[str, Any]:
    activity = _ACTIVITY.get(record["method"], _OTHER)
    failed = record["status"] >= 400
    return {
        **_base(record, version),
        "category_uid": 6,
        "class_uid": 6003,
        "activity_id": activity,
        "type_uid": 600300 + activity,
        "severity_id": _LOW if failed else _INFORMATIONAL,
        "status_id": 2 if failed else 1,
        "api": {"operation": f"{record['method']} {record['route']}".strip(), "response": {"code": record["status"]}},
        "src_endpoint": {"ip": record["address"]},
    }


def _base(record: Mapping[str, Any], version: str) -> dict[str, Any]:
    return {
        "time": int(datetime.fromisoformat(record["time"]).timestamp() * 1000),
        "message": record["event"],
        "metadata": {
            "version": _VERSION,
            "uid": record["id"],
            "tenant_uid": record["tenant"],
            "product": {"name": "guardrails-plugin", "vendor_name": "guardrails-plugin", "version": version},
        },
        "actor": {"user": {"uid": record["subject"]}},
        "duration": round(record["seconds"] * 1000),
    }
