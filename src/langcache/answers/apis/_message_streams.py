"""Anthropic's messages as streams, and back.

A message and a stream become each other only if nothing that they say is lost. What has a part that
is not known here becomes nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langcache.answers.apis.base import items_of, mapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["events_of", "message_of"]

# By the type of a delta, the member of the block that it continues, and its own member.
_TEXTS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
}
_BLOCKS = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})
_ENDING = ("stop_reason", "stop_sequence")


class _UnknownPartError(Exception):
    """There is a part that cannot be carried over."""


def message_of(events: Sequence[Any]) -> dict[str, Any] | None:
    """Return the message that says what a stream says, or None."""
    message: dict[str, Any] = {}
    blocks: dict[Any, dict[str, Any]] = {}
    inputs: dict[Any, str] = {}
    try:
        for event in map(mapping, events):
            match event.get("type"):
                case "message_start":
                    message = dict(mapping(event.get("message")))
                case "content_block_start":
                    blocks[event.get("index")] = dict(mapping(event.get("content_block")))
                case "content_block_delta":
                    index = event.get("index")
                    _add(index, mapping(event.get("delta")), blocks[index], inputs)
                case "message_delta":
                    _end(message, event)
                case "content_block_stop" | "message_stop" | "ping":
                    pass
                case _:
                    return None
        for index, text in inputs.items():
            blocks[index]["input"] = json.loads(text or "{}")
    except (_UnknownPartError, KeyError, ValueError):
        return None
    if "content" not in message or sorted(blocks) != list(range(len(blocks))):
        return None
    return {**message, "content": [blocks[index] for index in sorted(blocks)]}


def _add(
    index: Any, delta: Mapping[str, Any], block: dict[str, Any], inputs: dict[Any, str]
) -> None:
    kind = delta.get("type")
    if kind == "input_json_delta":
        inputs[index] = inputs.get(index, "") + delta["partial_json"]
    elif kind == "citations_delta":
        block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
    elif kind in _TEXTS:
        name, part = _TEXTS[kind]
        block[name] = (block.get(name) or "") + delta[part]
    else:
        raise _UnknownPartError


def _end(message: dict[str, Any], event: Mapping[str, Any]) -> None:
    if not event.keys() <= {"type", "delta", "usage"}:
        raise _UnknownPartError
    message.update(mapping(event.get("delta")))
    message["usage"] = {**mapping(message.get("usage")), **mapping(event.get("usage"))}


def events_of(message: Any) -> list[dict[str, Any]] | None:
    """Return the events of a stream that says what a message says, or None.

    Each block has one event with all of its text.
    """
    whole = mapping(message)
    if not {"id", "content", *_ENDING} <= whole.keys():
        return None
    usage = mapping(whole.get("usage"))
    start: dict[str, Any] = {**whole, "content": [], "stop_reason": None, "stop_sequence": None}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    try:
        for index, block in enumerate(items_of(whole["content"])):
            begun, deltas = _parts(block)
            place = {"index": index}
            events.append({"type": "content_block_start", **place, "content_block": begun})
            events += [{"type": "content_block_delta", **place, "delta": delta} for delta in deltas]
            events.append({"type": "content_block_stop", **place})
    except _UnknownPartError:
        return None
    ending = {name: whole[name] for name in _ENDING}
    output = {"output_tokens": usage.get("output_tokens", 0)}
    events.append({"type": "message_delta", "delta": ending, "usage": output})
    events.append({"type": "message_stop"})
    return events


def _parts(block: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a block as a stream begins it, and the deltas that complete it."""
    if block.get("type") not in _BLOCKS or block.get("citations"):
        raise _UnknownPartError
    begun, deltas = dict(block), list(_text_deltas(block))
    for name, _ in _TEXTS.values():
        if name in begun:
            begun[name] = ""
    if "input" in begun:
        begun["input"] = {}
        text = json.dumps(block["input"], ensure_ascii=False)
        deltas.append({"type": "input_json_delta", "partial_json": text})
    return begun, deltas


def _text_deltas(block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for kind, (name, part) in _TEXTS.items():
        if block.get(name):
            yield {"type": kind, part: block[name]}
