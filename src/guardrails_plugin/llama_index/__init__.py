"""Guards for LlamaIndex. Needs ``pip install guardrails-plugin[llama-index]``."""

from guardrails_plugin.llama_index.documents import guard_documents as guard_documents
from guardrails_plugin.llama_index.postprocessor import GuardNodePostprocessor as GuardNodePostprocessor
from guardrails_plugin.llama_index.transform import GuardTransform as GuardTransform

__all__ = ["GuardNodePostprocessor", "GuardTransform", "guard_documents"]
