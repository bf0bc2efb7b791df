"""LiteLLM with a semantic cache: a small support desk with few model calls.

Everything runs in this process: the model's answers are LiteLLM's mock responses, and the cache is
in memory, with the built-in model. Needs no network and leaves nothing behind.

    uv run --isolated --extra litellm examples/litellm_app.py
"""

import asyncio
import os
import time

# Set before the import: otherwise LiteLLM downloads a price list.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm

import langcache.integrations.litellm as langcache_litellm

SYSTEM = {"role": "system", "content": "You are the support desk of a shop. Be brief."}
ANSWERS = {
    "password": "Open Settings, choose Security, then Reset password.",
    "refund": "We refund any purchase within 30 days.",
    "12345": "Order 12345 left our house this morning.",
    "12346": "Order 12346 is still being packed.",
}
ROW = "{:<8} {:<44} {:<5} {:>6} {:>7}  {}"


def model_answer(question: str) -> str:
    """Return the answer of the model."""
    return next((answer for word, answer in ANSWERS.items() if word in question), "I do not know.")


def show(customer: str, question: str, response: object, similarity: float, start: float) -> None:
    """Print one line of the table."""
    found = "hit" if similarity else "miss"
    answer = response.choices[0].message.content
    milliseconds = f"{(time.perf_counter() - start) * 1000:.1f}"
    print(ROW.format(customer, question, found, f"{similarity:.3f}", milliseconds, answer))


def ask(customer: str, question: str, system: dict[str, str] = SYSTEM) -> None:
    """Answer a customer's question."""
    metadata = {"customer": customer}
    start = time.perf_counter()
    response = litellm.completion(
        model="gpt-4o",
        messages=[system, {"role": "user", "content": question}],
        metadata=metadata,
        mock_response=model_answer(question),
    )
    show(customer, question, response, metadata["semantic-similarity"], start)


async def ask_all(customer: str, question: str, times: int) -> None:
    """Answer the same question several times concurrently."""

    async def ask_once() -> None:
        metadata = {"customer": customer}
        start = time.perf_counter()
        response = await litellm.acompletion(
            model="gpt-4o",
            messages=[SYSTEM, {"role": "user", "content": question}],
            metadata=metadata,
            mock_response=model_answer(question),
        )
        show(customer, question, response, metadata["semantic-similarity"], start)

    await asyncio.gather(*(ask_once() for _ in range(times)))


def stream(customer: str, question: str) -> None:
    """Stream a cached answer."""
    chunks = litellm.completion(
        model="gpt-4o",
        messages=[SYSTEM, {"role": "user", "content": question}],
        metadata={"customer": customer},
        stream=True,
        mock_response=model_answer(question),
    )
    print(" ".join(repr(chunk.choices[0].delta.content or "") for chunk in chunks))


def main() -> None:
    """Run the example."""
    cache = langcache_litellm.enable(
        similarity_threshold=0.9,
        # Different customers share no answers.
        scope=lambda arguments: (arguments.get("metadata") or {}).get("customer"),
    )
    print(ROW.format("customer", "question", "", "simil", "ms", "answer"))
    ask("anna", "How do I reset my password?")
    ask("anna", "How can I reset my password?")
    ask("anna", "How do I reset my password?")
    ask("bert", "How do I reset my password?")
    ask("anna", "Where is my order 12345?")
    ask("anna", "Where is my order 12346?")
    rude = {"role": "system", "content": "You are the support desk of a shop. Be rude."}
    ask("anna", "How do I reset my password?", rude)

    print("\nFive times concurrently, with one model call:")
    asyncio.run(ask_all("anna", "Can I get a refund?", 5))

    print("\nThe same as a stream:")
    stream("anna", "Could I get a refund?")

    print(f"\n{cache.statistics}")
    langcache_litellm.disable()


if __name__ == "__main__":
    main()
