"""Custom scanners: definitions, versions, and where they are kept."""

from guardrails_plugin.scanners.lifecycle import Outcome as Outcome
from guardrails_plugin.scanners.lifecycle import Scanners as Scanners
from guardrails_plugin.scanners.lifecycle import TestReport as TestReport
from guardrails_plugin.scanners.model import Examples as Examples
from guardrails_plugin.scanners.model import Keywords as Keywords
from guardrails_plugin.scanners.model import NaturalLanguage as NaturalLanguage
from guardrails_plugin.scanners.model import RegularExpressions as RegularExpressions
from guardrails_plugin.scanners.model import Scanner as Scanner
from guardrails_plugin.scanners.model import Scope as Scope
from guardrails_plugin.scanners.model import State as State
from guardrails_plugin.scanners.model import Version as Version
from guardrails_plugin.scanners.rules import ScannerRules as ScannerRules
from guardrails_plugin.scanners.rules import term_rules as term_rules
from guardrails_plugin.scanners.sql import SqlStore as SqlStore
from guardrails_plugin.scanners.store import JsonStore as JsonStore
from guardrails_plugin.scanners.store import MemoryStore as MemoryStore
from guardrails_plugin.scanners.store import Store as Store
