"""The page, as somebody uses it: in Chromium, with its own console."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from langcache_mockserver import MockServer
from langcache_mockserver.page.files import TABS

from langcache.engine.tuning import read_labelled

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
IMAGES = Path(__file__).parents[2] / "docs" / "images"
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no program chromium on the PATH")

ENABLE, DISABLE = "How do I enable dark mode?", "How do I disable dark mode?"
RESET, PARAPHRASE = "How do I reset my password?", "How can I reset my password?"
MARKUP = "<img src=x onerror=alert(1)><b>bold</b><script>document.title = 'broken'</script>"
ENTRIES = [
    (ENABLE, "Open Settings, choose Appearance, and switch on Dark mode."),
    (RESET, "Use the link “Forgot password” on the sign-in page."),
    ("What is the capital of France?", "Paris."),
    ("How long does delivery take?", "Two to four working days."),
    ("Can I return an item after 30 days?", "No. Returns are free within 30 days of delivery."),
    ("How do I cancel my subscription?", "Account, then Billing, then Cancel subscription."),
    ("Where is order 12345?", "It arrives on Monday."),
    ("Is there a student discount?", "Yes, 20 % with a valid student card."),
]
ASKED = [
    *("How can I turn on dark mode?", DISABLE, "reset password", PARAPHRASE, "capital of France"),
    *("What is the capital of Germany?", "How fast is delivery?", "cancel subscription"),
    *("How do I pause my subscription?", "Where is order 12346?", "Where is order 12345?"),
    *("Do students get a discount?", "Is there a senior discount?", "How do I bake bread?"),
]
KEY = {"authorization": "Bearer key"}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM)
        playwright.expect.set_options(timeout=30_000)  # guards: the machine may be busy
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def running(minilm):
    """A server that checks hits by rules, so that its verdicts do not depend on a model."""
    with MockServer(embedder=minilm, verify="rules", default_threshold=0.88) as server:
        yield server


@pytest.fixture
def server(running):
    """The server, with entries and lookups of the cache `support`."""
    running.reset()
    running.seed([{"prompt": prompt, "response": text} for prompt, text in ENTRIES], "support")
    with running.client() as client:
        for prompt in ASKED:
            search(client, prompt)
    return running


@pytest.fixture
def open_page(browser):
    """Open a tab of a server; when the test ends, nothing may have gone wrong in the browser."""
    contexts, problems = [], []

    def opening(server, tab, cache="support", until="body[data-ready]", **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on(
            "console",
            lambda said: (
                said.type in {"error", "warning"} and problems.append(f"console: {said.text}")
            ),
        )
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on(
            "request",
            lambda sent: (
                sent.url.startswith((server.url, "data:", "blob:"))
                or problems.append(f"another host: {sent.url}")
            ),
        )
        path = "/" if tab == "playground" else f"/page/{tab}"
        page.goto(f"{server.url}{path}?cache={cache}")
        page.wait_for_selector(until)
        return page

    yield opening
    for context in contexts:
        context.close()
    assert problems == []


def search(client, prompt, **options):
    body = {"prompt": prompt, **options}
    path = "/v1/caches/support/entries/search"
    return client.post(path, json=body, headers=KEY).json()["data"]


def ask(page, prompt):
    page.get_by_label("Prompt").fill(prompt)
    page.get_by_role("button", name="Search").click()
    page.wait_for_selector("#candidates li")


def outcome(page):
    return page.locator("#verdict .badge")


def test_the_playground_finds_a_paraphrase(server, open_page):
    page = open_page(server, "playground")
    ask(page, PARAPHRASE)
    playwright.expect(outcome(page)).to_have_text("Hit")
    playwright.expect(page.locator("#verdict .answer")).to_contain_text("Forgot password")
    first = page.locator("#candidates li").first
    playwright.expect(first).to_contain_text(RESET)
    playwright.expect(first.locator(".badge")).to_have_text("Served")
    for step in ("Embedding", "Search", "Checks"):
        playwright.expect(page.locator("#verdict")).to_contain_text(step)


def test_the_playground_shows_why_an_opposite_is_rejected(server, open_page):
    page = open_page(server, "playground")
    ask(page, DISABLE)
    playwright.expect(outcome(page)).to_have_text("Rejected")
    first = page.locator("#candidates li").first
    playwright.expect(first).to_contain_text(ENABLE)
    playwright.expect(first).to_contain_text("Turned down: the prompts have opposite words.")
    page.get_by_label("Verifier").select_option("off")
    playwright.expect(outcome(page)).to_have_text("Hit")


def test_the_slider_changes_the_verdict(server, open_page):
    page = open_page(server, "playground")
    ask(page, "reset password")
    playwright.expect(outcome(page)).to_have_text("Hit")
    slider = page.get_by_label("Threshold")
    slider.press("End")
    playwright.expect(outcome(page)).not_to_have_text("Hit")
    playwright.expect(page.locator("#threshold-value")).to_have_text("1.000")
    slider.press("Home")
    playwright.expect(outcome(page)).to_have_text("Hit")


def test_the_playground_stores_an_entry(server, open_page):
    page = open_page(server, "playground")
    ask(page, "Who wrote Moby Dick?")
    playwright.expect(outcome(page)).to_have_text("Miss")
    page.get_by_label("Response to").fill("Herman Melville.")
    page.get_by_role("button", name="Store").click()
    playwright.expect(outcome(page)).to_have_text("Hit")
    with server.client() as client:
        (found,) = search(client, "Who wrote Moby Dick?")
    assert found["response"] == "Herman Melville."


def test_what_is_stored_is_the_prompt_that_is_shown(server, open_page):
    page = open_page(server, "playground")
    ask(page, "Who wrote Moby Dick?")
    page.route("**/explain", lambda _route: None)  # no answer comes
    page.get_by_label("Prompt").fill("Who wrote Hamlet?")
    with page.expect_request("**/explain"):
        page.get_by_role("button", name="Search").click()
    page.get_by_label("Response to “Who wrote Moby Dick?”").fill("Herman Melville.")
    page.get_by_role("button", name="Store").click()
    playwright.expect(page.locator("#said")).to_have_text("Stored.")
    with server.client() as client:
        assert search(client, "Who wrote Hamlet?", searchStrategies=["exact"]) == []
        assert search(client, "Who wrote Moby Dick?", searchStrategies=["exact"])


def test_what_is_cached_is_shown_as_text(server, open_page):
    server.seed([{"prompt": MARKUP, "response": MARKUP, "attributes": {"a": "<b>"}}], "support")
    with server.client() as client:
        search(client, MARKUP)
        search(client, "<b>Is this bold?</b>")
    page = open_page(server, "playground")
    ask(page, MARKUP)
    playwright.expect(page.locator("#verdict .answer")).to_have_text(MARKUP)
    for tab in ("lookups", "entries"):
        page.goto(f"{server.url}/page/{tab}?cache=support")
        page.wait_for_selector("body[data-ready]")
        playwright.expect(page.locator("#main")).to_contain_text(MARKUP)
        assert page.locator("#main img, #main b, #main script").count() == 0
        assert "broken" not in page.title()


def test_an_entry_deleted_on_the_page_is_gone(server, open_page):
    page = open_page(server, "entries")
    playwright.expect(page.locator("#total")).to_have_text("8 entries in this cache.")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name=f"Delete {RESET}").click()
    playwright.expect(page.locator("#said")).to_have_text("The entry is deleted.")
    playwright.expect(page.locator("#total")).to_have_text("7 entries in this cache.")
    playwright.expect(page.locator("#entries")).not_to_contain_text(RESET)
    with server.client() as client:
        assert search(client, RESET, searchStrategies=["exact"]) == []


def test_entries_are_found_by_text_and_attribute(server, open_page):
    server.seed([{"prompt": "p", "response": "r", "attributes": {"topic": "help"}}], "support")
    page = open_page(server, "entries")
    rows = page.locator("#entries article")
    playwright.expect(rows).to_have_count(len(ENTRIES) + 1)
    page.get_by_label("Search in prompts and responses").fill("student")
    page.get_by_role("button", name="Show", exact=True).click()
    playwright.expect(rows).to_have_count(1)
    playwright.expect(rows).to_contain_text(re.compile(r"[1-9]\d* hits?last"))
    page.get_by_label("Search in prompts and responses").fill("")
    page.get_by_label("Attribute").fill("topic=help")
    page.get_by_role("button", name="Show", exact=True).click()
    playwright.expect(rows).to_have_count(1)


def test_entries_are_exported_and_imported(server, open_page, tmp_path):
    page = open_page(server, "entries")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    path = tmp_path / "entries.jsonl"
    download.value.save_as(path)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert {row["prompt"] for row in rows} == {prompt for prompt, _ in ENTRIES}
    path.write_text(path.read_text(encoding="utf-8") + "\nnonsense\n", encoding="utf-8")
    page.goto(f"{server.url}/page/entries?cache=another")
    page.wait_for_selector("body[data-ready]")
    page.get_by_label("Import").set_input_files(path)
    playwright.expect(page.locator("#transfer")).to_contain_text(
        "Stored 8 entries. 1 line left out"
    )
    playwright.expect(page.locator("#entries article")).to_have_count(len(ENTRIES))


def test_a_hit_marked_as_wrong_is_labelled_for_tune_and_not_served_again(
    server, open_page, tmp_path
):
    page = open_page(server, "lookups")
    row = page.locator("#lookups article", has_text="cancel subscription")
    row.get_by_role("button", name="Wrong").click()
    playwright.expect(row.get_by_role("button", name="Wrong")).to_have_attribute(
        "aria-pressed", "true"
    )
    with page.expect_download() as download:
        page.get_by_role("button", name="Export for tune").click()
    path = tmp_path / "lookups.jsonl"
    download.value.save_as(path)
    labels = {each.prompt: each.label for each in read_labelled(path).lookups}
    assert labels["cancel subscription"] == "wrong"
    assert labels["reset password"] is None
    with server.client() as client:
        assert search(client, "cancel subscription") == []
    row.first.get_by_role("button", name="Wrong").click()
    playwright.expect(page.locator("#said")).to_have_text("The mark is removed.")


def test_lookups_appear_while_one_looks(server, open_page):
    page = open_page(server, "lookups")
    rows = page.locator("#lookups article")
    playwright.expect(rows).to_have_count(len(ASKED))
    with server.client() as client:
        search(client, "Do you ship to Norway?")
    playwright.expect(rows).to_have_count(len(ASKED) + 1)
    playwright.expect(rows.first).to_contain_text("Do you ship to Norway?")


def test_without_lookups_the_charts_are_empty_and_have_the_threshold_of_the_server(
    server, open_page
):
    page = open_page(server, "lookups", cache="new")
    playwright.expect(page.locator("#lookups")).to_contain_text(
        "Nothing was asked of this cache yet."
    )
    assert page.locator("#time-chart text").all_text_contents() == []
    assert page.locator("#histogram .threshold text").text_content() == "0.880"


def test_an_empty_cache_is_said_to_be_empty(server, open_page):
    page = open_page(server, "entries", cache="new")
    playwright.expect(page.locator("#no-entries")).to_have_text("This cache has no entries yet.")
    page = open_page(server, "entries")
    page.fill("#text", "nothing like this")
    page.press("#text", "Enter")
    playwright.expect(page.locator("#no-entries")).to_have_text("There is no such entry.")
    page = open_page(server, "playground", cache="new")
    page.fill("#prompt", RESET)
    page.press("#prompt", "Enter")
    playwright.expect(page.locator("#verdict")).to_contain_text(
        "There are no entries to compare with."
    )


def test_the_threshold_in_the_histogram_says_what_would_change(server, open_page):
    page = open_page(server, "lookups")
    line = page.get_by_role("slider", name="Threshold to try")
    playwright.expect(page.locator("#what-if")).to_contain_text("At 0.880")
    line.press("PageDown")
    playwright.expect(page.locator("#what-if")).to_contain_text("At 0.830")
    playwright.expect(page.locator("#what-if")).not_to_contain_text("0 more")
    box = line.locator("circle").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + 1000, box["y"] + 5)
    page.mouse.up()
    playwright.expect(page.locator("#what-if")).to_contain_text("At 1.000")


def test_savings_count_tokens_money_and_time(server, open_page):
    with server.client() as client:
        search(client, "What is Kafka?")
        body = {"prompt": "What is Kafka?", "response": "A log."}
        client.post("/v1/caches/support/entries", json=body, headers=KEY)
    page = open_page(server, "savings")
    row = page.locator("#by-cache tr", has_text="support")
    playwright.expect(row).to_contain_text("of 15")
    playwright.expect(page.locator("#seconds-hint")).to_contain_text("Measured")
    page.get_by_label("Seconds that the model takes").fill("3")
    playwright.expect(page.locator("#saved")).to_contain_text(" s")
    money = page.locator("#saved div", has_text="Money")
    before = money.inner_text()
    page.get_by_label("Input price of Medium model").fill("1000000")
    playwright.expect(money).not_to_have_text(before)
    page.reload()
    playwright.expect(page.get_by_label("Input price of Medium model")).to_have_value("1000000")
    assert page.evaluate("Object.keys(localStorage)") == ["langcache prices"]


def test_the_server_tab_shows_faults_and_clock(server, open_page):
    server.faults.add(operation="search", status=503)
    page = open_page(server, "server")
    playwright.expect(page.locator("#server")).to_contain_text("development")
    playwright.expect(page.locator("#faults")).to_contain_text("status: 503")
    playwright.expect(page.locator("#clock")).to_contain_text("Clock")


def test_under_strict_rules_one_signs_in_changes_something_and_signs_out(minilm, open_page):
    cache = "0" * 32
    config = {"caches": [{"id": cache}], "admin_token": "the-token"}
    with MockServer(embedder=minilm, config=config) as server:
        page = open_page(server, "playground", cache, until="#token")
        page.get_by_label("Token").fill("the-token")
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_selector("body[data-ready]")
        assert page.url == f"{server.url}/?cache={cache}"
        assert page.evaluate("document.cookie") == ""
        page.get_by_label("Prompt").fill("What is Kafka?")
        page.get_by_role("button", name="Search").click()
        page.get_by_label("Response to").fill("A log.")
        page.get_by_role("button", name="Store").click()
        playwright.expect(outcome(page)).to_have_text("Hit")
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_selector("#token")


def test_the_reference_of_the_api_is_shown(server, open_page):
    page = open_page(server, "server")
    page.get_by_role("link", name="Console", exact=True).click()
    playwright.expect(page.locator("h1")).to_contain_text("LangCache console")


def test_the_whole_playground_can_be_used_from_the_keyboard(server, open_page):
    page = open_page(server, "playground")
    playwright.expect(page.get_by_label("Prompt")).to_be_focused()
    page.keyboard.type(DISABLE)
    page.keyboard.press("Enter")
    playwright.expect(outcome(page)).to_have_text("Rejected")
    page.keyboard.press("Tab")
    for _ in range(80):
        page.keyboard.press("ArrowRight")
    playwright.expect(outcome(page)).not_to_have_text("Rejected")


def see_something(page, tab):
    if tab == "playground":
        ask(page, DISABLE)
        playwright.expect(outcome(page)).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_all_can_read_it_at_a_desk_and_on_a_phone(server, open_page, scheme, width):
    viewport = {"width": width, "height": 844}
    page = open_page(server, TABS[0], color_scheme=scheme, viewport=viewport)
    for tab in TABS:
        if tab != TABS[0]:
            page.goto(f"{server.url}/page/{tab}?cache=support")
            page.wait_for_selector("body[data-ready]")
        see_something(page, tab)
        assert page.evaluate("document.documentElement.scrollWidth") == width, tab
        found = axe.Axe().run(page).response["violations"]
        assert [
            (tab, each["id"], [node["target"] for node in each["nodes"]])
            for each in found
            if each["impact"] in {"serious", "critical"}
        ] == []


@pytest.mark.parametrize("width", [1280, 390])
def test_long_words_do_not_widen_the_page(server, open_page, width):
    long = "W" * 1024
    attributes = {"topic": long[:500]}
    server.seed([{"prompt": long, "response": long, "attributes": attributes}], "support")
    with server.client() as client:
        search(client, long)
    page = open_page(server, TABS[0], viewport={"width": width, "height": 844})
    ask(page, long)
    playwright.expect(outcome(page)).to_be_visible()
    for tab in TABS:
        if tab != TABS[0]:
            page.goto(f"{server.url}/page/{tab}?cache=support")
            page.wait_for_selector("body[data-ready]")
        assert page.evaluate("document.documentElement.scrollWidth") == width, tab


def test_text_from_right_to_left_is_shown_so(server, open_page):
    prompt = "מה השעה, בבקשה? (GMT)"
    server.seed([{"prompt": prompt, "response": "12:00!"}], "hebrew")
    page = open_page(server, "entries", cache="hebrew")
    [first, last] = page.evaluate("""() => {
        const text = document.querySelector("#entries .text").firstChild;
        return [0, text.length - 1].map((place) => {
            const range = document.createRange();
            range.setStart(text, place);
            range.setEnd(text, place + 1);
            return range.getBoundingClientRect().left;
        });
    }""")
    assert first > last


@pytest.mark.skipif(
    "LANGCACHE_IMAGES" not in os.environ,
    reason="LANGCACHE_IMAGES is not set, so docs/images stays as it is",
)
@pytest.mark.parametrize("tab", TABS[:-1])
def test_screenshots_for_the_documentation(server, open_page, tab):
    with server.client() as client:
        for prompt in ASKED * 3:
            search(client, prompt)
        search(client, "What is Kafka?")
        body = {"prompt": "What is Kafka?", "response": "A log of events."}
        client.post("/v1/caches/support/entries", json=body, headers=KEY)
    page = open_page(server, tab, viewport={"width": 1120, "height": 700})
    see_something(page, tab)
    page.evaluate("document.activeElement.blur()")
    page.screenshot(path=IMAGES / f"page-{tab}.png", animations="disabled")
