"""Guard stages for LLM applications: one engine, seven stages, thin adapters for LangChain and LlamaIndex."""

from guardrails_plugin.crypto.keyring import Keyring as Keyring
from guardrails_plugin.engine import Engine as Engine
from guardrails_plugin.errors import ConfigError as ConfigError
from guardrails_plugin.errors import ContentError as ContentError
from guardrails_plugin.errors import DetectorError as DetectorError
from guardrails_plugin.errors import GuardBlocked as GuardBlocked
from guardrails_plugin.errors import GuardError as GuardError
from guardrails_plugin.errors import GuardUnavailable as GuardUnavailable
from guardrails_plugin.errors import SinkError as SinkError
from guardrails_plugin.recipes import Recipe as Recipe
from guardrails_plugin.recipes import Rule as Rule
from guardrails_plugin.types import Context as Context
from guardrails_plugin.types import Decision as Decision
from guardrails_plugin.types import Finding as Finding
from guardrails_plugin.types import GuardResult as GuardResult
from guardrails_plugin.types import Origin as Origin
from guardrails_plugin.types import Segment as Segment
from guardrails_plugin.types import Stage as Stage
from guardrails_plugin.types import Verdict as Verdict

__all__ = [
    "ConfigError",
    "ContentError",
    "Context",
    "Decision",
    "DetectorError",
    "Engine",
    "Finding",
    "GuardBlocked",
    "GuardError",
    "GuardResult",
    "GuardUnavailable",
    "Keyring",
    "Origin",
    "Recipe",
    "Rule",
    "Segment",
    "SinkError",
    "Stage",
    "Verdict",
]

__version__ = "0.1.0"
