from answer_caches import answers, auto, make_cache, minilm  # noqa: F401 - fixtures for all
from upstream import upstream  # noqa: F401 - a fixture
