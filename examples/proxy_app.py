"""The caching proxy: a provider's API, answered from a cache in front of it.

The proxy and the provider run in this process, so this needs no network and leaves nothing behind.
In production, start the proxy by `langcache serve --proxy-openai https://api.openai.com/v1`. A
client in any language uses it by its base URL.

    uv run --package langcache-mockserver --with openai examples/proxy_app.py
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
from langcache_mockserver import MockServer

requests: list[dict] = []


class Provider(BaseHTTPRequestHandler):
    """Answers as OpenAI's chat completions do."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        requests.append(body)
        text = f"Answer {len(requests)}: look into the settings."
        message = {"role": "assistant", "content": text}
        answer = {
            "id": f"chatcmpl-{len(requests)}",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27},
        }
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Print nothing."""


def ask(client: openai.OpenAI, tenant: str, question: str) -> None:
    """Ask a question, and print the answer and what the proxy did."""
    raw = client.chat.completions.with_raw_response.create(
        model="gpt-5",
        messages=[{"role": "user", "content": question}],
        extra_headers={"x-langcache-scope": tenant},
    )
    similarity = raw.headers.get("x-langcache-similarity", "")
    text = raw.parse().choices[0].message.content
    print(f"{raw.headers['x-langcache']:<8} {similarity:<6} | {question:<27} | {text}")


def main() -> None:
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{provider.server_port}/v1"
    config = {"proxy": {"upstreams": [{"api": "openai", "url": url}], "budget_seconds": 5}}
    with (
        MockServer(config=config) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="offline") as client,
    ):
        ask(client, "acme", "How do I enable dark mode?")
        ask(client, "acme", "How can I enable dark mode?")  # the same in other words
        ask(client, "acme", "How do I disable dark mode?")  # the opposite
        ask(client, "umbrella", "How do I enable dark mode?")  # another tenant
    print(f"\n{len(requests)} requests reached the provider.")
    provider.shutdown()
    provider.server_close()


if __name__ == "__main__":
    main()
