import json

import pytest
import schemathesis
from hypothesis import HealthCheck, seed, settings
from langcache_mockserver import MockServer, SimilarityTable
from langcache_mockserver.http.documents import MOCK_DOCUMENT

DOCUMENT = json.loads(MOCK_DOCUMENT)
schema = schemathesis.openapi.from_dict(DOCUMENT)


@pytest.fixture(scope="module")
def controlled():
    with MockServer(embedder=SimilarityTable({})) as server:
        yield server


# Not to record: that would send requests to hosts that nobody knows.
@schema.exclude(path="/_mock/v1/recording", method="PUT").parametrize()
@seed(20261121)
@settings(
    max_examples=10,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_the_test_controls_are_as_they_describe_themselves(controlled, case):
    answer = case.call(base_url=controlled.url)
    assert answer.status_code < 500
    if answer.status_code < 300:
        case.validate_response(answer)
