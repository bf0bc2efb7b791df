from importlib.util import find_spec

# These tests run in environments of their own; see test_litellm_releases.py,
# test_langchain_releases.py, test_model_doors.py and .ci/all.
collect_ignore = [
    *([] if find_spec("litellm") else ["with_litellm"]),
    *([] if find_spec("langchain_tests") else ["with_langchain"]),
    *([] if find_spec("llama_index") else ["with_llama_index"]),
    *([] if find_spec("agents") and find_spec("pydantic_ai") else ["with_agent_frameworks"]),
]
