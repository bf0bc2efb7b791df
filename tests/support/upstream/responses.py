"""OpenAI's `POST /v1/responses`."""

from __future__ import annotations

from .answer import input_tokens, pieces


def body_of(request, answer):
    """Return the body of the answer."""
    return _response(request, answer, _status(answer), [_item(answer, _status(answer))])


def events_of(request, answer):
    """Yield the events of the answer as a stream, each as its name and data."""
    for number, (name, data) in enumerate(_events(request, answer)):
        yield name, {"type": name, "sequence_number": number, **data}


def error_event(error):
    """Return the event of an error in the middle of a stream."""
    inner = error["error"]
    data = {"code": inner["type"], "message": inner["message"], "param": None, "sequence_number": 9}
    return "error", {"type": "error", **data}


def _events(request, answer):
    begun = _response(request, answer, "in_progress", [])
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    item = _item(answer, "in_progress")
    yield "response.output_item.added", {"output_index": 0, "item": item}
    yield from _item_events(answer, {"item_id": item["id"], "output_index": 0})
    done = _item(answer, _status(answer))
    yield "response.output_item.done", {"output_index": 0, "item": done}
    ended = _response(request, answer, _status(answer), [done])
    yield f"response.{_status(answer)}", {"response": ended}


def _item_events(answer, place):
    if answer.tool is not None:
        event = "response.function_call_arguments"
        for piece in pieces(answer.tool[1]):
            yield f"{event}.delta", {**place, "delta": piece}
        yield f"{event}.done", {**place, "arguments": answer.tool[1], "name": answer.tool[0]}
        return
    place = {**place, "content_index": 0}
    yield "response.content_part.added", {**place, "part": _part("")}
    for piece in pieces(answer.text):
        yield "response.output_text.delta", {**place, "delta": piece, "logprobs": []}
    yield "response.output_text.done", {**place, "text": answer.text, "logprobs": []}
    yield "response.content_part.done", {**place, "part": _part(answer.text)}


def _status(answer):
    return "completed" if answer.finish == "stop" else "incomplete"


def _item(answer, status):
    begun = status == "in_progress"
    if answer.tool is not None:
        return {
            "type": "function_call",
            "id": f"fc_{answer.number}",
            "call_id": f"call_{answer.number}",
            "name": answer.tool[0],
            "arguments": "" if begun else answer.tool[1],
            "status": status,
        }
    return {
        "type": "message",
        "id": f"msg_{answer.number}",
        "role": "assistant",
        "status": status,
        "content": [] if begun else [_part(answer.text)],
    }


def _part(text):
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _response(request, answer, status, output):
    reason = {"length": "max_output_tokens"}.get(answer.finish, answer.finish)
    ended = status != "in_progress"
    return {
        "id": f"resp_{answer.number}",
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": reason} if status == "incomplete" else None,
        "instructions": request.get("instructions"),
        "metadata": request.get("metadata") or {},
        "model": request["model"],
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": request.get("previous_response_id"),
        "store": request.get("store", True),
        "temperature": request.get("temperature", 1.0),
        "text": {"format": {"type": "text"}},
        "tool_choice": request.get("tool_choice", "auto"),
        "tools": request.get("tools", []),
        "top_p": request.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": _usage(request, answer) if ended else None,
    }


def _usage(request, answer):
    tokens = input_tokens(request), answer.output_tokens
    return {
        "input_tokens": tokens[0],
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": tokens[1],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": sum(tokens),
    }
