"""Anthropic's `POST /v1/messages`."""

from __future__ import annotations

import json

from .answer import input_tokens, pieces

_REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}


def body_of(request, answer):
    """Return the body of the answer."""
    message = _message(request, answer)
    return {
        **message,
        "content": [_block(answer)],
        "stop_reason": _reason(answer),
        "usage": {**message["usage"], "output_tokens": answer.output_tokens},
    }


def events_of(request, answer):
    """Yield the events of the answer as a stream, each as its name and data."""
    for name, data in _events(request, answer):
        yield name, {"type": name, **data}


def error_event(error):
    """Return the event of an error in the middle of a stream."""
    return "error", error


def _events(request, answer):
    yield "message_start", {"message": _message(request, answer)}
    block = {**_block(answer), **({"text": ""} if answer.tool is None else {"input": {}})}
    yield "content_block_start", {"index": 0, "content_block": block}
    yield "ping", {}
    for piece in pieces(answer.text if answer.tool is None else answer.tool[1]):
        if answer.tool is None:
            delta = {"type": "text_delta", "text": piece}
        else:
            delta = {"type": "input_json_delta", "partial_json": piece}
        yield "content_block_delta", {"index": 0, "delta": delta}
    yield "content_block_stop", {"index": 0}
    ended = {"stop_reason": _reason(answer), "stop_sequence": None}
    yield "message_delta", {"delta": ended, "usage": {"output_tokens": answer.output_tokens}}
    yield "message_stop", {}


def _message(request, answer):
    return {
        "id": f"msg_{answer.number}",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": input_tokens(request),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 1,
            "service_tier": "standard",
        },
    }


def _block(answer):
    if answer.tool is None:
        return {"type": "text", "text": answer.text}
    name, arguments = answer.tool
    call = {"type": "tool_use", "id": f"toolu_{answer.number}", "name": name}
    return {**call, "input": json.loads(arguments)}


def _reason(answer):
    return _REASONS[answer.finish] if answer.tool is None else "tool_use"
