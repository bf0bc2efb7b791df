"""A LlamaIndex model with a semantic cache: a support desk for two tenants.

The model is a class in this file. Needs no network and leaves nothing behind. Install from a clone
of this repository:

    pip install ./models/minilm ./models/minilm_pair ".[llama-index]"
    python examples/llama_index_app.py
"""

from typing import Any

from llama_index.core import Settings
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata

import langcache

calls: list[str] = []


class Model(CustomLLM):
    """Stands for OpenAI, Anthropic or any other LLM of LlamaIndex."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="example")

    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        calls.append(prompt)
        return CompletionResponse(text=f"Answer {len(calls)}: look into the settings.")

    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
        calls.append(prompt)
        text = ""
        for piece in f"Answer {len(calls)}: look into the settings.".split(" "):
            text += f"{piece} "
            yield CompletionResponse(text=text, delta=f"{piece} ")


def show(source: str, question: str, text: str) -> None:
    print(f"{source:<7} | {question:<33} | {text}")


def main() -> None:
    cache = langcache.AnswerCache("memory")
    Settings.llm = langcache.wrap(Model(), cache=cache)

    for tenant, question in [
        ("acme", "How do I enable dark mode?"),
        ("acme", "How can I enable dark mode?"),  # the same in other words
        ("acme", "How do I disable dark mode?"),  # the opposite
        ("globex", "How do I enable dark mode?"),  # another tenant
    ]:
        with cache.scope(tenant=tenant):
            response = Settings.llm.complete(question)
        hit = getattr(response, "langcache", None)
        show(hit.source if hit else "model", question, response.text)

    with cache.scope(tenant="acme"):
        for question in ("How do I enable dark mode?", "How can I enable dark mode?"):
            responses = list(Settings.llm.stream_complete(question))
            hit = getattr(responses[0], "langcache", None)
            show("replay" if hit else "stream", question, "".join(each.delta for each in responses))

    print(f"\n{len(calls)} calls of the model. {cache.statistics}")
    cache.close()


if __name__ == "__main__":
    main()
