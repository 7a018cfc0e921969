"""The chat page in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from tests.runtime.serve.browser import CHROMIUM, Browser
from tests.runtime.serve.conftest import RunningServer

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    opened = Browser(tmp_path)
    yield opened
    opened.close()


def say(browser: Browser, text: str) -> None:
    browser.value(f"at('text').value = {text!r}; at('ask').requestSubmit()")


def test_a_chat_on_the_page_is_that_of_the_api(browser: Browser, server: RunningServer, client: openai.OpenAI) -> None:
    browser.open(server.url)
    browser.wait("at('model').textContent === 'tiny'")
    browser.value("at('temperature').value = 0; at('max_tokens').value = 12; at('system').value = 'Be.'")
    said: list[dict[str, str]] = [{"role": "system", "content": "Be."}]
    for text in ("Hello", "And?"):
        say(browser, text)
        browser.wait("!running")
        said.append({"role": "user", "content": text})
        answer = client.chat.completions.create(model="tiny", messages=said, max_tokens=12, temperature=0)
        said.append({"role": "assistant", "content": answer.choices[0].message.content})
        assert browser.value("turns.at(-1).content") == answer.choices[0].message.content
    assert "12 written" in browser.value("document.querySelector('.assistant .facts').textContent")

    browser.value("at('logprobs').checked = true; retry(3)")  # the second answer again, with its tokens
    browser.wait("!running")
    assert browser.value("turns.length") == 4
    titles = browser.value("[...document.querySelectorAll('.token')].map((each) => each.title)")
    assert len(titles) == 12 and all("log probability" in title for title in titles)

    browser.open(f"{server.url}/?again")  # the chat is kept by the browser
    assert browser.value("turns.length") == 4 and browser.value("at('system').value") == "Be."
    browser.value("edit(2)")
    assert browser.value("[turns.length, at('text').value]") == [2, "And?"]

    browser.value("at('max_tokens').value = ''; at('temperature').value = 1")
    say(browser, "Long")
    browser.wait("turns.at(-1).content.length > 3")
    browser.value("at('stop').click()")
    browser.wait("!running")
    browser.value("at('temperature').value = 9")
    say(browser, "wrong")
    browser.wait("!running")
    assert "temperature" in browser.value("document.querySelector('.error').textContent")
    assert browser.errors == []
    assert {url.partition("/")[2].strip("/").partition("/")[0] for url in browser.requests if url[:4] == "http"} == {
        server.url.partition("//")[2]
    }


def test_a_models_text_is_never_html(browser: Browser, server: RunningServer) -> None:
    browser.open(server.url)
    text = (
        "# A <b>title</b>\n\n- one\n- `two`\n\n**bold** <img src=x onerror=alert(1)>\n```js\nlet a = '<i>';\n```\nend"
    )
    html = browser.value(f"markdown({text!r}).outerHTML")
    assert "<h3>A &lt;b&gt;title&lt;/b&gt;</h3><ul><li>one</li><li><code>two</code></li></ul>" in html
    assert "<p><strong>bold</strong> &lt;img src=x onerror=alert(1)&gt;</p>" in html
    assert "<pre><code>let a = '&lt;i&gt;';</code></pre>" in html and html.endswith("<p>end</p></div>")
    policy = httpx.get(server.url).headers["content-security-policy"]
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy
