from importlib.util import find_spec

# These tests run in their own environments; see test_litellm_releases.py.
collect_ignore = [] if find_spec("litellm") else ["with_litellm"]
