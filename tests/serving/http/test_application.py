"""The page for people: its files load nothing from elsewhere, and its policy allows nothing else."""

import re
import shutil
from contextlib import contextmanager
from importlib import resources

import httpx
import pytest
from servers.browser import open_page
from servers.errors import NotInstallable
from servers.required import skip_without
from serving_processes import serving
from serving_setup import key_of

from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.serving_repositories import ApiKeyRepository

PATHS = ("/", "/page/page.css", "/page/page.js", "/page/curve.js")


@pytest.mark.parametrize("path", PATHS)
def test_the_page_is_served_under_a_policy_without_inline_code(serve, path):
    served = serve(open_locally=False)  # the page itself holds nothing that a key protects
    response = served.client.get(path)
    assert response.status_code == 200
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_the_files_name_no_other_host_and_hold_no_inline_code():
    folder = resources.files("loan_default.serving.http").joinpath("page")
    for file in folder.iterdir():
        text = file.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//\w+\.\w+|@import|url\(", text), file.name
        assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=|innerHTML|eval\(", text), (
            file.name
        )


def test_each_control_of_the_page_has_a_label():
    html = resources.files("loan_default.serving.http").joinpath("page", "index.html").read_text("utf-8")
    labelled = set(re.findall(r'<label for="([\w-]+)"', html))
    controls = set(re.findall(r'<(?:input|select) id="([\w-]+)"', html))
    assert controls == labelled
    assert 'lang="en"' in html
    assert len(re.findall(r'aria-live="polite"', html)) >= 2


@contextmanager
def page_of(url, **size):
    """The page in Chromium once its form is there, with what it asked for and what it complained of."""
    try:
        with open_page(**size) as page:
            asked, complaints = [], []
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(url)
            yield page, asked, complaints
    except NotInstallable as reason:
        skip_without(reason)


@pytest.mark.integration
def test_a_person_scores_an_application_by_keyboard_and_moves_a_field(http_process):
    with page_of(http_process.url) as (page, asked, complaints):
        income = page.get_by_role("spinbutton", name="income")
        income.wait_for()
        income.fill("1000")
        page.get_by_role("combobox", name="purpose").select_option("house")
        income.press("Enter")
        page.get_by_role("heading", name="What if").wait_for()
        sent = {**http_process.example, "income": 1000, "purpose": "house"}
        del sent["id"]
        expected = httpx.post(f"{http_process.url}/v1/scores", json=sent).json()
        assert page.text_content("#pd") == f"{100 * expected['pd']:.2f} %"
        assert page.text_content("#points") == str(round(expected["points"]))
        assert f"{100 * expected['share_below']:.0f} % of the training" in page.text_content("#position")
        explained = httpx.post(f"{http_process.url}/v1/explanations", json=sent).json()["explanation"]
        for each in explained["reasons"]:
            assert f"{each['column']}, {each['points']:.1f} points" in page.text_content("#reason-list")
        page.get_by_role("combobox", name="Field").select_option("income")
        slider = page.get_by_role("slider", name="Value of income")
        slider.wait_for()
        before = (page.text_content("#what-if-text"), len(asked))
        slider.press("Home")
        low = page.text_content("#what-if-text")
        slider.press("End")
        high = page.text_content("#what-if-text")
        assert len({before[0], low, high}) == 3
        assert len(asked) == before[1], "a move draws from what is there"
        assert slider.get_attribute("aria-valuetext") in high
        assert page.locator("#curve .here").count() == 1
        assert {url.partition("//")[2].partition("/")[0] for url in asked} == {
            f"127.0.0.1:{http_process.port}"
        }
        assert complaints == []


@pytest.mark.integration
def test_a_broken_rule_is_shown_at_its_field_and_read_aloud(http_process):
    with page_of(http_process.url, width=360, height=700) as (page, _, _):
        income = page.get_by_role("spinbutton", name="income")
        income.wait_for()
        income.fill("-5")
        page.get_by_role("button", name="Score").click()
        page.get_by_role("alert").wait_for()
        assert "income must be at least 0" in page.get_by_role("alert").text_content()
        assert income.get_attribute("aria-invalid") == "true"
        assert page.evaluate("document.activeElement.name") == "income"
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        income.fill("5")
        page.get_by_role("button", name="Score").click()
        page.locator("#pd").wait_for()
        assert page.get_by_role("alert").count() == 0
        page.evaluate("document.querySelector('[name=city]').value = '<img src=x onerror=alert(1)>'")
        page.get_by_role("button", name="Score").click()
        page.wait_for_timeout(300)
        assert page.locator("img").count() == 0


@pytest.mark.integration
def test_a_server_with_keys_asks_for_one(lab, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(lab.home, home)
    database = EmbeddedDatabase(home / "documents.sqlite3")
    ApiKeyRepository(database).add(key_of("0" * 12))
    database.close()
    with serving(home) as server, page_of(server.url) as (page, _, _):
        assert server.score() == 401
        page.get_by_label("This server asks for a key").fill("0" * 12 + ".s3cret")
        page.get_by_role("button", name="Use the key").click()
        page.get_by_role("spinbutton", name="income").wait_for()
        page.get_by_role("button", name="Score").click()
        page.locator("#pd").wait_for()
        stored = page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]")
        assert stored == ["", 0, 0]
