"""OpenAI's `POST /v1/chat/completions`."""

from __future__ import annotations

from .answer import input_tokens, pieces

_DONE = (None, "[DONE]")


def body_of(request, answer):
    """Return the body of the answer."""
    return {
        **_head(request, answer, "chat.completion"),
        "choices": [
            {
                "index": index,
                "message": {
                    "role": "assistant",
                    "content": answer.text,
                    **({} if answer.tool is None else {"tool_calls": [_call(answer)]}),
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": _finish(answer),
            }
            for index in range(_choices(request))
        ],
        "usage": _usage(request, answer),
    }


def events_of(request, answer):
    """Yield the events of the answer as a stream, each as its name and data."""
    usage = (request.get("stream_options") or {}).get("include_usage")
    head = {**_head(request, answer, "chat.completion.chunk"), **({"usage": None} if usage else {})}
    for index in range(_choices(request)):
        for delta in _deltas(answer):
            yield None, {**head, "choices": [_choice(index, delta)]}
        yield None, {**head, "choices": [_choice(index, {}, _finish(answer))]}
    if usage:
        yield None, {**head, "choices": [], "usage": _usage(request, answer)}
    yield _DONE


def error_event(error):
    """Return the event of an error in the middle of a stream."""
    return None, error


def _head(request, answer, kind):
    return {
        "id": f"chatcmpl-{answer.number}",
        "object": kind,
        "created": answer.created,
        "model": request["model"],
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
    }


def _choices(request):
    return request.get("n") or 1


def _choice(index, delta, finish=None):
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def _deltas(answer):
    if answer.tool is None:
        yield {"role": "assistant", "content": "", "refusal": None}
        for piece in pieces(answer.text):
            yield {"content": piece}
        return
    call = _call(answer)
    function = {**call["function"], "arguments": ""}
    first = {"index": 0, **call, "function": function}
    yield {"role": "assistant", "content": None, "tool_calls": [first], "refusal": None}
    for piece in pieces(answer.tool[1]):
        yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def _call(answer):
    name, arguments = answer.tool
    return {
        "id": f"call_{answer.number}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _finish(answer):
    return answer.finish if answer.tool is None else "tool_calls"


def _usage(request, answer):
    prompt, completion = input_tokens(request), answer.output_tokens * _choices(request)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
