"""The page on which attention is looked into, in a real browser: what is clicked is what is drawn."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from neuroling.report.attention_page import AttentionText, write_attention_page

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), "")
MAPS = np.random.default_rng(0).dirichlet(np.full(5, 0.3), (2, 3, 5))  # (layer, head, query, key)
OTHER = np.random.default_rng(1).dirichlet(np.full(3, 0.3), (2, 3, 3))
TEXTS = [
    AttentionText("first", ["the", "<i>cat</i>", "sees", "a", "dog"], MAPS, [4, 7]),
    AttentionText("second", ["so", "it", "is"], OTHER, [4, 7]),
]
PATIENCE_S = 60.0

pytestmark = [
    pytest.mark.slow,  # a browser starts: 2 s on idle cores
    pytest.mark.skipif(not BROWSER, reason="no Chromium to open the page with"),
]


class Page:
    """A page in a browser that is spoken to through a pipe, by the DevTools protocol."""

    def __init__(self, process, to_browser, from_browser):
        self.process, self.to_browser, self.from_browser = process, to_browser, from_browser
        self.session, self.asked, self.rest, self.failures = None, 0, b"", []
        self.loaded = False

    def ask(self, method, **parameters):
        self.asked += 1
        message = {"id": self.asked, "method": method, "params": parameters}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        return self.wait_for(lambda told: told.get("id") == self.asked)["result"]

    def wait_for(self, wanted):
        end = time.monotonic() + PATIENCE_S
        while True:
            while b"\0" not in self.rest:
                if not select.select([self.from_browser], [], [], max(0.0, end - time.monotonic()))[0]:
                    raise TimeoutError("the browser does not answer")
                self.rest += os.read(self.from_browser, 1 << 16)
            one, _, self.rest = self.rest.partition(b"\0")
            told = json.loads(one)
            if told.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.failures.append(told["params"])
            self.loaded |= told.get("method") == "Page.loadEventFired"
            if wanted(told):
                return told

    def open(self, path):
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for part in ("Page", "Runtime", "Log"):
            self.ask(f"{part}.enable")
        self.loaded = False
        self.ask("Page.navigate", url=path.as_uri())
        if not self.loaded:  # it may have been told before the answer
            self.wait_for(lambda _: self.loaded)

    def evaluate(self, expression):
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def mouse(self, kind, selector):
        box = f"document.querySelector({json.dumps(selector)})"
        self.evaluate(f"{box}.scrollIntoView({{block: 'center'}})")
        x, y = self.evaluate(
            f"(() => {{ const b = {box}.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2] }})()"
        )
        button = {"button": "left", "clickCount": 1} if kind != "mouseMoved" else {}
        self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def click(self, selector):
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.mouse(kind, selector)

    def strengths(self):
        """Opacity of all lines, sorted."""
        return sorted(
            self.evaluate("[...document.querySelectorAll('#lines line')].map(l => +l.getAttribute('stroke-opacity'))")
        )


LAUNCH = """
import os, sys
theirs_in, theirs_out, *command = sys.argv[1:]
os.dup2(int(theirs_in), 3)  # the browser reads 3 and writes 4
os.dup2(int(theirs_out), 4)
os.execv(command[0], command)
"""


def high(end):
    """Move an end of a pipe to a number that is neither 3 nor 4."""
    moved = fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(end)
    return moved


def start(folder):
    pipes = [high(end) for _ in range(2) for end in os.pipe()]
    theirs_in, ours_out, ours_in, theirs_out = pipes
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(theirs_in), str(theirs_out), BROWSER, *options,
         f"--user-data-dir={folder}", "--remote-debugging-pipe"],
        pass_fds=(theirs_in, theirs_out),
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs_in)
    os.close(theirs_out)
    return Page(process, ours_out, ours_in)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    made = start(tmp_path_factory.mktemp("profile"))
    try:
        made.ask("Browser.getVersion")
        yield made
    finally:
        made.process.kill()
        made.process.wait()
        os.close(made.to_browser)
        os.close(made.from_browser)


@pytest.fixture
def page(browser, tmp_path):
    browser.session, browser.failures = None, []
    browser.open(write_attention_page(tmp_path / "heads.html", TEXTS, title="Heads", synthetic=True))
    return browser


def expected(maps, layer, heads, query=slice(None)):
    shares = np.round(maps[layer, heads][:, query], 3).ravel()
    return sorted(shares[shares >= 0.01].tolist())


def test_at_first_all_heads_of_the_first_layer_are_drawn(page):
    assert page.strengths() == pytest.approx(expected(MAPS, 0, [0, 1, 2]), abs=1.1e-3)


def test_no_script_fails_and_the_policy_blocks_nothing_of_its_own(page):
    page.click("#none")
    page.click("#all")
    assert page.failures == []


def test_a_small_picture_shows_its_head_alone(page):
    page.click("#grid button[aria-label='layer 7, head 1']")
    assert page.strengths() == pytest.approx(expected(MAPS, 1, [1]), abs=1.1e-3)
    assert page.evaluate("document.querySelector('#layer').selectedOptions[0].text") == "7"
    pressed = "[...document.querySelectorAll('[aria-pressed=true]')].map(b => b.ariaLabel)"
    assert page.evaluate(pressed) == ["layer 7, head 1"]


def test_heads_are_taken_away_and_brought_back(page):
    page.click("#none")
    assert page.strengths() == []
    page.click("#heads input[value='2']")
    assert page.strengths() == pytest.approx(expected(MAPS, 0, [2]), abs=1.1e-3)
    page.click("#all")
    assert len(page.strengths()) == len(expected(MAPS, 0, [0, 1, 2]))


def test_a_token_that_is_pointed_at_shows_its_lines_alone(page):
    page.mouse("mouseMoved", "#lines g:nth-of-type(3) text")
    assert page.strengths() == pytest.approx(expected(MAPS, 0, [0, 1, 2], slice(2, 3)), abs=1.1e-3)
    page.mouse("mouseMoved", "h1")
    assert len(page.strengths()) == len(expected(MAPS, 0, [0, 1, 2]))


def test_another_text_brings_its_own_tokens_and_lines(page):
    page.evaluate("(() => { const s = document.querySelector('#text'); s.value = 1;"
                  " s.dispatchEvent(new Event('change')) })()")  # fmt: skip
    shown = page.evaluate("[...document.querySelectorAll('#lines g text')].map(t => t.textContent)")
    assert shown == ["so", "it", "is"]
    assert page.strengths() == pytest.approx(expected(OTHER, 0, [0, 1, 2]), abs=1.1e-3)


def test_tokens_stay_text(page):
    assert page.evaluate("document.querySelectorAll('#lines i').length") == 0
    assert "<i>cat</i>" in page.evaluate("document.querySelector('#lines').textContent")
