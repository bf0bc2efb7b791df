"""What LlamaIndex's models are asked."""

from __future__ import annotations

import re
from dataclasses import replace
from enum import Enum
from io import IOBase
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel

from langcache.answers import NotCacheableError, Request, chat_request, digest, plain
from langcache.answers.question import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langcache.integrations.llama_index._llama_index import LLM, ChatMessage

__all__ = ["request_of_messages", "request_of_prompt"]

_CHAT = "llama_index.chat"
_COMPLETE = "llama_index.complete"

# Fields of models that change no answer. LlamaIndex applies the system prompt, the wrapper of
# queries and the parser of outputs before it calls the methods that are cached.
_HARMLESS = frozenset(
    {
        *("api_key", "callback_manager", "rate_limiter", "max_retries", "timeout", "reuse_client"),
        *("request_timeout", "num_workers", "verbose", "system_prompt", "query_wrapper_prompt"),
        *("output_parser", "pydantic_program_mode"),
    }
)
# An answer depends on the details of a question if the model may call something.
_EXACT = ("tools", "functions", "built_in_tools", "web_search_options", "audio")
# What continues a conversation that the provider keeps, which changes with every answer.
_KEPT_ELSEWHERE = ("previous_response_id", "track_previous_responses", "conversation", "background")
# LlamaIndex's prompts for questions about documents end in this way.
_QUERY = re.compile(r"(?s)(.*\n(?:Query|Question): )([^\n]+)(\nAnswer:\s*)")
_SPEAKER = re.compile(r"^(?:system|user|assistant): ", re.MULTILINE)


def request_of_messages(
    llm: LLM, messages: Sequence[ChatMessage], arguments: Mapping[str, Any], *, stream: bool
) -> Request | None:
    """Return what a model is asked by messages; None if it cannot be compared with other calls."""
    try:
        parameters, exact = _parameters(llm, arguments, stream=stream)
        turns = [_turn(message) for message in messages]
        frame = None
        last = turns[-1] if turns else {}
        text = text_of(last.get("content"))
        if text is not None and last["role"] == "user":
            text, frame = _question_in(text)
            exact = exact or text is None
        request = chat_request(_CHAT, parameters, turns, exact=exact)
        if frame is None or exact:
            return request
        return replace(request, text=text, last={"last": request.last, "frame": frame})
    except Exception:  # noqa: BLE001 - no error of the cache may fail a call
        return None


def request_of_prompt(
    llm: LLM, prompt: str, arguments: Mapping[str, Any], *, formatted: bool, stream: bool
) -> Request | None:
    """Return what a model is asked by a prompt; None if it cannot be compared with other calls."""
    try:
        parameters, exact = _parameters(llm, arguments, stream=stream)
    except Exception:  # noqa: BLE001 - no error of the cache may fail a call
        return None
    # A prompt that is formatted for a model can begin with a system prompt.
    text, frame = (None, None) if exact or formatted else _question_in(prompt)
    last = {"formatted": formatted, "prompt": prompt if text is None else None, "frame": frame}
    return Request(door=_COMPLETE, parameters=parameters, last=last, text=text)


def _question_in(text: str) -> tuple[str | None, list[str] | None]:
    """Return the question in a text, and the rest of the text, if there is any.

    Texts of several lines are mostly made from a template, which makes unrelated questions look
    alike: only the same text finds the answer, unless the place of the question is known.
    """
    found = _QUERY.fullmatch(text)
    if found is not None:
        return found[2], [found[1], found[3]]
    is_conversation = len(_SPEAKER.findall(text)) > 1
    is_alone = "\n" not in text.strip() and not is_conversation
    return (text if is_alone and not text.lstrip().startswith(("[", "{")) else None), None


def _parameters(llm: LLM, arguments: Mapping[str, Any], *, stream: bool) -> tuple[str, bool]:
    """Return a digest of what shapes an answer, and whether only the same text will do."""
    fields = _fields_of(llm)
    more = fields.get("additional_kwargs")
    given = {**fields, **(cast("dict[str, Any]", more) if isinstance(more, dict) else {})}
    given.update(arguments)
    if any(given.get(name) for name in _KEPT_ELSEWHERE):
        raise NotCacheableError
    parameters = {
        "model": f"{type(llm).__module__}.{llm.class_name()}",
        "fields": fields,
        "arguments": arguments,
        "stream": stream,
    }
    return digest(parameters), any(given.get(name) for name in _EXACT)


def _fields_of(llm: LLM) -> dict[str, Any]:
    """Return the fields of a model that can shape an answer.

    Raises:
        NotCacheableError: One of them has no form that could be compared.
    """
    found: dict[str, Any] = {}
    for name, field in type(llm).model_fields.items():
        if name in _HARMLESS:
            continue
        value: Any = getattr(llm, name)
        try:
            found[name] = _name_of(value) if callable(value) else plain(value)
        except NotCacheableError:
            if not field.exclude:
                found[name] = _dumped(llm, name)
            elif callable(value):
                raise
            # Else it is no part of the model's own description, such as a client.
    return {**found, **(plain(llm.model_extra) or {})}


def _name_of(function: Any) -> str:
    """Return the name of a function, which another process gives to the same function, too."""
    if not isinstance(function, (FunctionType, BuiltinFunctionType, type)):
        raise NotCacheableError
    if "<" in function.__qualname__:
        raise NotCacheableError
    return f"{function.__module__}.{function.__qualname__}"


def _dumped(llm: LLM, name: str) -> Any:
    try:
        return llm.model_dump(mode="json", include={name}, warnings=False).get(name)
    except Exception as error:  # any error of a serializer
        raise NotCacheableError from error


def _turn(message: ChatMessage) -> dict[str, Any]:
    blocks = [block for block in message.blocks if _type_of(block) != "cache"]
    content = [_part(block) for block in blocks]
    role = message.role.value if isinstance(message.role, Enum) else message.role
    return {"role": role, "content": content, "more": plain(message.additional_kwargs) or None}


def _part(block: Any) -> dict[str, Any]:
    if _type_of(block) == "text":
        return {"type": "text", "text": block.text}
    if not isinstance(block, BaseModel):
        raise NotCacheableError
    for value in dict(block).values():
        # The content of a file can change.
        if isinstance(value, (IOBase, Path)):
            raise NotCacheableError
    return {"type": _type_of(block), "block": block.model_dump(mode="json", warnings=False)}


def _type_of(block: Any) -> Any:
    return getattr(block, "block_type", None)
