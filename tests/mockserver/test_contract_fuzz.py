import json
from pathlib import Path

import langcache_mockserver
import schemathesis
from hypothesis import HealthCheck, seed, settings
from schemathesis.specs.openapi.checks import ignored_auth

from examples import examples

CONTRACT = Path(langcache_mockserver.__file__).with_name("openapi.json")

schema = schemathesis.openapi.from_dict(json.loads(CONTRACT.read_text(encoding="utf-8")))


@schema.parametrize()
@seed(20261121)
@settings(
    max_examples=examples(50),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_the_server_keeps_the_contract(mock_server, case):
    # ignored_auth: any key is a good one in development; test_server_http.py has requests without
    case.call_and_validate(
        base_url=mock_server.url,
        headers={"authorization": "Bearer k"},
        excluded_checks=[ignored_auth],
    )
