"""OpenAI's client with a semantic cache: a support desk for two tenants.

The model is a function in this file, which the client calls in place of the network. Needs no
network and leaves nothing behind.

    uv run --extra openai examples/openai_app.py
"""

import json
import sys
from typing import Any

import openai

import langcache

# The client's own HTTP library: httpx, or httpx2 in newer releases.
httpx = sys.modules[openai.DefaultHttpxClient.__base__.__module__.partition(".")[0]]
requests = []


def model(request: Any) -> Any:
    """Answer as OpenAI's chat completions do, whole or as a stream."""
    body = json.loads(request.content)
    requests.append(body)
    text = f"Answer {len(requests)}: look into the settings."
    head = {"id": f"chatcmpl-{len(requests)}", "created": 1_790_000_000, "model": body["model"]}
    if not body.get("stream"):
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27}
        whole = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        return httpx.Response(200, json=whole)
    deltas = [({"content": f"{word} "}, None) for word in text.split()] + [({}, "stop")]
    chunks = [
        {
            **head,
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        }
        for delta, reason in deltas
    ]
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    headers = {"content-type": "text/event-stream"}
    return httpx.Response(200, headers=headers, text="".join(lines) + "data: [DONE]\n\n")


def ask(client: openai.OpenAI, question: str, **arguments: object) -> None:
    """Ask a question, and print the answer and where it comes from."""
    response = client.chat.completions.create(
        model="gpt-5",
        messages=[
            {"role": "system", "content": "You are the support desk of a shop."},
            {"role": "user", "content": question},
        ],
        **arguments,
    )
    hit = getattr(response, "langcache", None)
    if arguments.get("stream"):
        text = "".join(chunk.choices[0].delta.content or "" for chunk in response)
    else:
        text = response.choices[0].message.content
    source = f"{hit.source:<7} {hit.similarity:.3f}" if hit else "model        "
    print(f"{source} | {question:<38} | {text}")


def main() -> None:
    http_client = httpx.Client(transport=httpx.MockTransport(model))
    bare = openai.OpenAI(api_key="offline", http_client=http_client)
    cache = langcache.AnswerCache("memory")
    client = langcache.wrap(bare, cache=cache)

    with cache.scope(tenant="acme"):
        ask(client, "How do I enable dark mode?")
        ask(client, "How can I enable dark mode?")
        ask(client, "How do I disable dark mode?")
        ask(client, "How do I enable dark mode?", temperature=0)
        ask(client, "How do I enable dark mode?", stream=True)
        ask(client, "How can I enable dark mode?", stream=True)
    with cache.scope(tenant="umbrella"):
        ask(client, "How do I enable dark mode?")
        with cache.bypass():
            ask(client, "How do I enable dark mode?")

    print(f"\n{len(requests)} requests reached the model. {cache.statistics}")
    client.close()
    cache.close()


if __name__ == "__main__":
    main()
