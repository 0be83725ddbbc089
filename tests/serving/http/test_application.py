"""The page for people: its files load nothing from elsewhere, and its policy allows nothing else."""

import re
from importlib import resources

import pytest

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
