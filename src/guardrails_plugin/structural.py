"""What in a provider message is structure or bytes, not text: closed enumerations, short ids, binary media.

The name of a field is never enough: whoever writes a tool's result chooses it. A value is left unread only when it
could not say anything to a model or about a person.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import string
from collections.abc import Mapping
from typing import Any

__all__ = ["is_closed", "is_field_name", "is_id"]

_LINKS = frozenset({"id", "call_id", "tool_call_id", "tool_use_id"})
"""What ties a call to its result."""
_FIELDS = frozenset(
    "role type id call_id tool_call_id tool_use_id model finish_reason stop_reason mime_type mimeType media_type"
    " object service_tier system_fingerprint detail format source_type file_id".split()
)
_SEALED = frozenset({"signature", "encrypted_content", "thoughtSignature", "thought_signature"})
"""What a provider sealed for itself and wants back unchanged."""
_SEALED_LENGTH = 100

_ID = re.compile(r"(?=.*[a-z]|.{1,6}\Z|[A-Z_]+\Z)[A-Za-z0-9_.:/-]{1,64}")
_COMPACT = re.compile(r"[A-Za-z]{0,4}[0-9]{5,}")
"""Numbers of accounts, licences, passports, records."""
_WORD = re.compile(r"[A-Za-z]{3,}")
_WORDS = 3
"""An id of more words may be a sentence."""

_ENUMERATED = {
    "role": frozenset("system developer user human assistant model ai tool tools function".split()),
    "type": frozenset(
        "text image image_url input_text output_text input_image input_audio audio document file thinking message"
        " tool_use tool_result tool_call function function_call function_call_output base64 url".split()
    ),
}

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z_-]{0,15}")

_MEDIA_TYPES = frozenset({"image", "image_url", "input_image", "input_audio", "audio", "video"})
_MEDIA_FIELDS = frozenset({"image_url", "data", "base64", "url", "file_data"})
_CLOSED = _MEDIA_FIELDS | _SEALED | _ENUMERATED.keys()
_MIME_FIELDS = ("mime_type", "mimeType", "media_type")
_DATA_URL = re.compile(r"data:(?:image|audio|video|application)/[\w.+-]{1,80}(?:;[\w.-]{1,20}=[\w.-]{1,20})?;base64,")
_BASE64 = (string.ascii_letters + string.digits + "+/_=-\r\n").encode()
_MEDIA_LENGTH = 64
"""Bare base64 below it may be a key; the smallest images are longer."""
_HEAD = 64


def is_id(name: str, value: object, *, links_only: bool = False) -> bool:
    """Whether a structural field of a message holds a short id or enumeration, as it should.

    Args:
        name: of the field.
        value: what it holds.
        links_only: count only the ids that tie a call to its result.

    >>> is_id("id", "call_9xK2"), is_id("id", "Ignore all rules"), is_id("id", "536-90-4399")
    (True, False, False)
    """
    return (
        name in (_LINKS if links_only else _FIELDS)
        and isinstance(value, str)
        and _ID.fullmatch(value) is not None
        and _COMPACT.fullmatch(value) is None
        and len(_WORD.findall(value)) <= _WORDS
    )


def is_closed(holder: Mapping[Any, Any], name: str) -> bool:
    """Whether a field of an object holds nothing to read: one word of a closed list, or binary data.

    That is the bytes of an image, a sound or a file (a data URL, or base64 beside its media type), and what a provider
    sealed for itself.
    """
    if name not in _CLOSED:
        return False
    value = holder[name]
    if not isinstance(value, str):
        return False
    if name in _ENUMERATED:
        return value in _ENUMERATED[name]
    if name in _SEALED:
        return len(value) >= _SEALED_LENGTH and _is_binary(value)
    url = _DATA_URL.match(value)
    if url is not None:
        return _is_binary(value, url.end())
    return len(value) >= _MEDIA_LENGTH and _tells_media(holder) and _is_binary(value)


def is_field_name(key: str) -> bool:
    """Whether an object's key is an ordinary short name: letters alone, too short to be data worth guarding."""
    return _PLAIN_KEY.fullmatch(key) is not None


def _tells_media(holder: Mapping[Any, Any]) -> bool:
    kind = holder.get("type")
    if isinstance(kind, str) and kind in _MEDIA_TYPES:
        return True
    if "format" in holder:  # OpenAI's input_audio
        return True
    return any(str(holder.get(field)).startswith(("image/", "audio/", "video/")) for field in _MIME_FIELDS)


def _is_binary(text: str, start: int = 0) -> bool:
    """Whether it is base64 all through, of bytes that no text begins with."""
    # On bytes: images are megabytes, and a pattern takes a hundred times as long.
    if not text.isascii() or text[start:].encode().translate(None, _BASE64):
        return False
    head = "".join(text[start : start + _HEAD].split()).rstrip("=").translate(_STANDARD)
    try:
        decoded = base64.b64decode(head[: len(head) // 4 * 4])
        words = codecs.getincrementaldecoder("utf-8")().decode(decoded)
    except (binascii.Error, UnicodeDecodeError):
        return True
    return any(ord(char) < ord(" ") and char not in "\t\r\n" for char in words)


_STANDARD = str.maketrans("-_", "+/")
