"""The service's data: SQLite by default, PostgreSQL by URL.

Every query of tenants' data takes the project it is for; there is no way to ask for rows of all projects by accident.
"""

from guardrails_plugin.server.store.database import Database as Database
from guardrails_plugin.server.store.objects import Object as Object
from guardrails_plugin.server.store.objects import Objects as Objects
from guardrails_plugin.server.store.objects import Page as Page
from guardrails_plugin.server.store.store import Store as Store

__all__ = ["Database", "Object", "Objects", "Page", "Store"]
