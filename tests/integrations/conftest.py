from importlib.util import find_spec

# These run in environments of their own: see test_litellm_releases.py.
collect_ignore = [] if find_spec("litellm") else ["with_litellm"]
