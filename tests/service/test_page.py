"""The home page as a person uses it, in Chromium; the service is the real one, under BentoML."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def url(serve, releases, tmp_path_factory) -> Iterator[str]:
    """Where the service answers."""
    with serve(releases=releases, store=tmp_path_factory.mktemp("store")) as at:
        yield at


@pytest.fixture
def page(url, program, tmp_path) -> Iterator[Page]:
    """The page, open; an error in its console is a failure."""
    chromium = program("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            str(tmp_path), executable_path=chromium, args=FLAGS, viewport={"width": 1100, "height": 800}
        )
        opened, errors = browser.new_page(), []
        opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.goto(url)
        opened.wait_for_selector(".card")
        yield opened
        browser.close()
    assert errors == []


def titles(page: Page) -> list[str]:
    return page.locator(".card h3").all_text_contents()


def test_a_known_user_sees_a_list_with_reasons_and_channels(page):
    assert len(titles(page)) == 12
    assert all(page.locator(".card .reason").all_text_contents())
    assert page.locator(".card").first.locator(".channels li").count() > 0
    assert "served by full" in page.locator("#release").text_content()


def test_watching_an_item_moves_the_list(page):
    before = titles(page)
    page.locator(".card .watch").nth(1).click()
    page.wait_for_function("document.getElementById('status').textContent === 'The list has moved.'")
    assert before[1] not in titles(page)
    assert before[1] in page.locator("#seen").text_content()


def test_more_goes_on_where_the_list_ended(page):
    first = titles(page)
    page.locator("#more").click()
    page.wait_for_function("document.querySelectorAll('.card').length > 12")
    longer = titles(page)
    assert longer[:12] == first
    assert len(set(longer)) == len(longer)


def test_similar_items_open_and_close_by_keyboard(page):
    page.locator(".card .alike").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#similar:not([hidden]) li")
    page.keyboard.press("Escape")
    assert page.locator("#similar").is_hidden()


def test_somebody_new_picks_and_gets_a_list(page):
    page.locator("#new").click()
    page.wait_for_selector("#picks button")
    assert page.locator("#user").input_value() == ""
    for number in (0, 3):
        page.locator("#picks button").nth(number).click()
    picked = page.locator("#picks [aria-pressed=true]").all_text_contents()
    page.locator("#picked").click()
    page.wait_for_selector(".card")
    assert not set(picked) & set(titles(page))


def test_somebody_new_picks_a_category_by_keyboard(page):
    page.locator("#new").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#categories button")
    assert page.locator("#picked").is_disabled()
    page.keyboard.press("Space")  # the first category has the focus
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("#categories [aria-pressed=true]").count() == 2
    page.keyboard.press("Space")
    (picked,) = page.locator("#categories [aria-pressed=true]").all_text_contents()
    page.locator("#picked").press("Enter")
    page.wait_for_selector(".card")
    assert len(titles(page)) == 12
    assert any(picked in reason for reason in page.locator(".card .reason").all_text_contents())


def test_on_a_phone_nothing_runs_over_the_edge(page):
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_an_unknown_user_gets_what_is_popular(page):
    page.fill("#user", "somebody else")
    page.press("#user", "Enter")
    page.wait_for_function("document.getElementById('release').textContent.includes('popular')")
    assert titles(page)
    assert page.locator("#status").text_content().startswith("Nothing is known of somebody else")
