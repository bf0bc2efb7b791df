"""Anthropic's client with a semantic cache: a support desk for two tenants.

The model is a function in this file, which the client calls in place of the network. Needs no
network and leaves nothing behind.

    uv run --extra anthropic examples/anthropic_app.py
"""

import json
import sys
from typing import Any

import anthropic

import langcache

# The client's own HTTP library: httpx, or httpx2 in newer releases.
httpx = sys.modules[anthropic.DefaultHttpxClient.__base__.__module__.partition(".")[0]]
requests = []


def model(request: Any) -> Any:
    """Answer as Anthropic's messages do, whole or as a stream."""
    body = json.loads(request.content)
    requests.append(body)
    text = f"Answer {len(requests)}: look into the settings."
    message = {
        "id": f"msg_{len(requests)}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 20, "output_tokens": 7},
    }
    if not body.get("stream"):
        return httpx.Response(200, json=message)
    begun = {**message, "content": [], "stop_reason": None}
    block = {"type": "text", "text": ""}
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    events = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": f"{word} "},
            }
            for word in text.split()
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    ]
    lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, text="".join(lines))


def arguments(question: str) -> dict:
    return {
        "model": "claude-sonnet-5",
        "max_tokens": 200,
        "system": "You are the support desk of a shop.",
        "messages": [{"role": "user", "content": question}],
    }


def ask(client: anthropic.Anthropic, question: str) -> None:
    """Ask a question, and print the answer and where it comes from."""
    message = client.messages.create(**arguments(question))
    hit = getattr(message, "langcache", None)
    source = f"{hit.source:<7} {hit.similarity:.3f}" if hit else "model        "
    saved = f"saved {hit.saved['output_tokens']} tokens" if hit else ""
    print(f"{source} | {question:<28} | {message.content[0].text} {saved}")


def stream(client: anthropic.Anthropic, question: str) -> None:
    """The same with the client's helper for streams."""
    before = len(requests)
    with client.messages.stream(**arguments(question)) as events:
        text = "".join(events.text_stream)
    print(f"{'stream' if len(requests) > before else 'replay':<13} | {question:<28} | {text}")


def main() -> None:
    http_client = httpx.Client(transport=httpx.MockTransport(model))
    bare = anthropic.Anthropic(api_key="offline", http_client=http_client)
    cache = langcache.AnswerCache("memory")
    client = langcache.wrap(bare, cache=cache)

    with cache.scope(tenant="acme"):
        ask(client, "How do I enable dark mode?")
        ask(client, "How can I enable dark mode?")
        ask(client, "How do I disable dark mode?")
        stream(client, "How do I enable dark mode?")
        stream(client, "How can I enable dark mode?")
    with cache.scope(tenant="umbrella"):
        ask(client, "How do I enable dark mode?")

    print(f"\n{len(requests)} requests reached the model. {cache.statistics}")
    client.close()
    cache.close()


if __name__ == "__main__":
    main()
