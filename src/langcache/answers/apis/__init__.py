"""The HTTP APIs of model providers, in JSON's types: without HTTP, and without their packages."""

from langcache.answers.apis.base import Api, in_form
from langcache.answers.apis.chat_completions import ChatCompletions
from langcache.answers.apis.embeddings import Embeddings
from langcache.answers.apis.messages import Messages
from langcache.answers.apis.responses import Responses

__all__ = ["Api", "ChatCompletions", "Embeddings", "Messages", "Responses", "in_form"]
