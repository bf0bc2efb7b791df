from importlib.util import find_spec

# These tests run in their own environments; see test_litellm_releases.py and
# test_langchain_releases.py.
collect_ignore = [
    *([] if find_spec("litellm") else ["with_litellm"]),
    *([] if find_spec("langchain_tests") else ["with_langchain"]),
]
