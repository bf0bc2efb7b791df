"""The providers' own clients through the caching proxy."""

import asyncio

import anthropic
import openai
import pytest
from langcache_mockserver import Settings

QUESTION = "What is the capital of France?"
PARAPHRASE = "what is the capital city of France?"
OTHER = "How do I enable dark mode?"
OTHER_PARAPHRASE = "How can I enable dark mode?"


@pytest.fixture
def url(serve, patient, upstream):
    """The URL of a proxy of the upstream."""
    settings = Settings(proxy_openai=upstream.openai_url, proxy_anthropic=upstream.anthropic_url)
    with serve(**patient(settings)) as client:
        yield str(client.base_url).rstrip("/")


@pytest.fixture
def openai_client(url):
    with openai.OpenAI(base_url=f"{url}/v1", api_key="key", max_retries=0) as client:
        yield client


@pytest.fixture
def anthropic_client(url):
    with anthropic.Anthropic(base_url=url, api_key="key", max_retries=0) as client:
        yield client


def user(text):
    return [{"role": "user", "content": text}]


def test_openais_client_gets_hits(openai_client, upstream):
    chat = openai_client.chat.completions
    first = chat.create(model="m", messages=user(QUESTION))
    second = chat.with_raw_response.create(model="m", messages=user(PARAPHRASE))
    assert second.headers["x-langcache"] == "hit"
    assert second.parse().choices == first.choices
    assert second.parse().usage.total_tokens == 0

    first = openai_client.responses.create(model="m", input=QUESTION)
    second = openai_client.responses.create(model="m", input=PARAPHRASE)
    assert second.output_text == first.output_text

    first = openai_client.embeddings.create(model="e", input=QUESTION)
    second = openai_client.embeddings.create(model="e", input=QUESTION)
    assert second.data == first.data
    assert upstream.count == 3


def test_openais_client_gets_the_same_streams(openai_client, upstream):
    def chunks(text):
        return list(
            openai_client.chat.completions.create(model="m", messages=user(text), stream=True)
        )

    def final(text):
        with openai_client.responses.stream(model="m", input=text) as stream:
            return [event.type for event in stream], stream.get_final_response().output_text

    assert chunks(PARAPHRASE) == chunks(PARAPHRASE) == chunks(QUESTION)
    assert final(QUESTION) == final(PARAPHRASE)
    assert upstream.count == 2


def read_message_stream(client, text):
    """Return the types of the events, and the message that they make up."""
    with client.messages.stream(model="m", max_tokens=9, messages=user(text)) as events:
        return [event.type for event in events], events.get_final_message()


def test_anthropics_client_gets_hits_and_the_same_streams(anthropic_client, upstream):
    def ask(text):
        return anthropic_client.messages.create(model="m", max_tokens=9, messages=user(text))

    def stream(text):
        types, message = read_message_stream(anthropic_client, text)
        return types, message.content

    first, second = ask(QUESTION), ask(PARAPHRASE)
    assert second.content == first.content
    assert second.usage.output_tokens == 0
    assert stream(OTHER) == stream(OTHER_PARAPHRASE)
    assert upstream.count == 2


@pytest.mark.parametrize("stream_first", [False, True])
def test_the_clients_read_a_stream_and_a_whole_answer_of_one_entry(
    openai_client, anthropic_client, upstream, stream_first
):
    def chat(text):
        return openai_client.chat.completions.create(model="m", messages=user(text)).choices

    def chat_stream(text):
        with openai_client.chat.completions.stream(model="m", messages=user(text)) as stream:
            return stream.get_final_completion().choices

    def messages(text):
        return anthropic_client.messages.create(model="m", max_tokens=9, messages=user(text))

    def message_stream(text):
        return read_message_stream(anthropic_client, text)[1]

    for whole, streamed in ((chat, chat_stream), (messages, message_stream)):
        asks = [streamed, whole] if stream_first else [whole, streamed]
        first, other = (ask(text) for ask, text in zip(asks, (QUESTION, PARAPHRASE), strict=True))
        assert _text_of(first) == _text_of(other)
    assert upstream.count == 2


def _text_of(answer):
    return answer[0].message.content if isinstance(answer, list) else answer.content[0].text


def test_asynchronous_clients_share_one_call(url, upstream):
    async def ask(client, text):
        return await client.chat.completions.create(model="m", messages=user(text))

    async def main():
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="key", max_retries=0) as client:
            return await asyncio.gather(*[ask(client, QUESTION) for _ in range(10)])

    answers = asyncio.run(main())
    assert len({answer.choices[0].message.content for answer in answers}) == 1
    assert upstream.count == 1


def test_errors_are_those_of_the_clients(openai_client, anthropic_client, upstream):
    upstream.fail_next(429)
    with pytest.raises(openai.RateLimitError, match="The upstream fails with 429"):
        openai_client.responses.create(model="m", input=QUESTION)
    upstream.fail_next(529)
    with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
        anthropic_client.messages.create(model="m", max_tokens=9, messages=user(QUESTION))
    upstream.fail_stream_next(after=2)
    with pytest.raises(openai.APIError, match="The upstream fails with 500"):
        list(openai_client.chat.completions.create(model="m", messages=user(QUESTION), stream=True))
    with pytest.raises(openai.BadRequestError, match="model: must have at least 1 characters"):
        openai_client.responses.create(model="", input=QUESTION)
    with pytest.raises(anthropic.BadRequestError, match="model: must have at least 1 characters"):
        anthropic_client.messages.create(model="", max_tokens=9, messages=user(QUESTION))


def test_a_tenant_is_one_argument_of_a_client(url, upstream):
    for tenant in ("acme", "globex", "acme"):
        with openai.OpenAI(
            base_url=f"{url}/v1", api_key="key", default_headers={"x-langcache-scope": tenant}
        ) as client:
            client.chat.completions.create(model="m", messages=user(QUESTION))
    assert upstream.count == 2
