"""The code on the page runs offline, and does what it promises."""

import re
from pathlib import Path

from page_examples import examples, run_examples

PAGE = Path(__file__).parents[3] / "docs" / "integrations" / "litellm.md"


def test_the_code_on_the_page(upstream, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", upstream.openai_url)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    # The page shows the default time limit of a lookup.
    assert run_examples(PAGE, {".enable()": ".enable(budget_seconds=30)"}) > 1
    assert upstream.count == 1


def test_the_proxys_configuration_names_the_module_beside_it():
    (configuration,) = examples(PAGE, "yaml")
    named = re.search(r'callbacks: \["(\w+)\.(\w+)"\]', configuration.code)
    assert named
    (module,) = [each.code for each in examples(PAGE) if f"# {named[1]}.py" in each.code]
    assert f"\n{named[2]} = " in module
