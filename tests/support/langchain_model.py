"""A chat model of LangChain for the tests."""

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field, PrivateAttr


class Model(BaseChatModel):
    """A model that counts its calls and answers each with another text."""

    model: str = "m"
    temperature: float = 0.0
    message: dict = Field(default_factory=dict)
    info: dict | None = None
    _calls: list = PrivateAttr(default_factory=list)
    _failures: list = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self):
        return "model"

    @property
    def _identifying_params(self):
        return {"model": self.model, "temperature": self.temperature}

    @property
    def calls(self):
        return len(self._calls)

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self._calls.append(messages)
        if self._failures:
            raise self._failures.pop()
        message = AIMessage(
            **{
                "content": f"answer {self.calls}",
                "usage_metadata": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7},
                "response_metadata": {
                    "token_usage": {"prompt_tokens": 5, "completion_tokens": 2},
                    "finish_reason": "stop",
                },
                **self.message,
            }
        )
        return ChatResult(generations=[ChatGeneration(message=message, generation_info=self.info)])

    def bind_tools(self, tools, **kwargs):
        return self.bind(tools=tools, **kwargs)
