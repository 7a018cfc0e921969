"""The chat page in a real browser."""

import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path

import httpx
import openai
import pytest

from tests.runtime.serve.browser import CHROMIUM, Browser
from tests.runtime.serve.conftest import RunningServer, make_model, make_tokenizer, start_server, stop_server

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    opened = Browser(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The page without a server behind it, for questions that leave it as it is."""
    handler = partial(Quiet, directory=str(files("fgc_runtime.serve") / "page"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        opened = Browser(tmp_path_factory.mktemp("profile"))
        opened.open(f"http://127.0.0.1:{site.server_port}/")
        yield opened
        opened.close()
        site.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def say(browser: Browser, text: str) -> None:
    browser.value(f"at('text').value = {text!r}; at('ask').requestSubmit()")


def test_a_chat_on_the_page_is_that_of_the_api(browser: Browser, server: RunningServer, client: openai.OpenAI) -> None:
    browser.open(server.url)
    browser.wait("at('model').value === 'tiny'")
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
    tips = browser.value("[...document.querySelectorAll('.token')].map((each) => each.dataset.tip)")
    assert len(tips) == 12 and all("log probability" in tip for tip in tips)
    browser.value("document.querySelector('[tabindex=\"0\"]').focus()")
    browser.press("ArrowRight", "ArrowRight")
    assert browser.value("at('tip').textContent") == tips[1] and not browser.value("at('tip').hidden")

    browser.open(f"{server.url}/?again")  # the chat is kept by the browser
    assert browser.value("turns.length") == 4 and browser.value("at('system').value") == "Be."
    browser.value("at('text').focus()")
    browser.press("ArrowUp")  # the last message again
    browser.wait("document.activeElement.value === 'And?'")
    browser.press("Escape")
    assert browser.value("turns.length") == 4 and not browser.value("document.querySelector('.turn textarea')")
    browser.press("ArrowUp")
    browser.wait("document.activeElement.value === 'And?'")
    browser.value("document.activeElement.value = 'Or?'")
    browser.press("Enter")
    browser.wait("turns.length === 4 && !running")
    assert browser.value("[turns[2].content, document.activeElement.id]") == ["Or?", "text"]

    browser.value("at('max_tokens').value = ''; at('temperature').value = 1")
    say(browser, "Long")
    browser.wait("turns.at(-1).content.length > 3")
    browser.press("Escape")
    browser.wait("!running")
    browser.value("at('temperature').value = 9")
    say(browser, "wrong")
    browser.wait("!running")
    assert "temperature" in browser.value("document.querySelector('.problem').textContent")
    browser.value("at('clear').click()")
    browser.wait("turns.length === 0")
    browser.value("document.querySelector('#chats button').click()")  # the chat before
    assert browser.value("turns[2].content") == "Or?"
    assert browser.errors == []
    assert {url.partition("/")[2].strip("/").partition("/")[0] for url in browser.requests if url[:4] == "http"} == {
        server.url.partition("//")[2]
    }


def test_two_models_answer_side_by_side(browser: Browser, model_folder: Path, tmp_path: Path) -> None:
    """Each goes on from what it said itself."""
    other = tmp_path / "other"
    shutil.copytree(model_folder, other)
    make_model(len(make_tokenizer()), seed=1).save_pretrained(other)
    both = start_server(model_folder, f"other={other}")
    try:
        browser.open(both.url)
        browser.wait("at('beside').options.length === 3")
        browser.value("at('temperature').value = 0; at('max_tokens').value = 8; at('beside').value = 'other'")
        said: dict[str, list[dict[str, str]]] = {"tiny": [], "other": []}
        for text in ("Hello", "And?"):
            say(browser, text)
            browser.wait("!running")
            for name, place in (("tiny", "turns.at(-1)"), ("other", "turns.at(-1).beside")):
                said[name].append({"role": "user", "content": text})
                with both.client() as client:
                    answer = client.chat.completions.create(
                        model=name, messages=said[name], max_tokens=8, temperature=0
                    )
                said[name].append({"role": "assistant", "content": answer.choices[0].message.content})
                assert browser.value(f"{place}.content") == answer.choices[0].message.content
        assert said["tiny"] != said["other"]
        names = "[...document.querySelectorAll('.columns strong')].map((each) => each.textContent)"
        assert browser.value(names) == ["tiny", "other"] * 2
        browser.value("turns.at(-1).error = 'failed'; show()")
        counts = "[body('tiny', false), body('other', true)].map((asked) => asked.messages.length)"
        assert browser.value(counts) == [2, 4], "the error of one is not the other's"
        assert browser.value("document.querySelectorAll('.columns .error, .turn.error').length") == 1
        thought = {"content": "", "thoughts": "Hm <b>", "tokens": []}
        browser.value(f"turns = [{{role: 'assistant', ...{json.dumps(thought)}}}]; show()")
        assert browser.value("document.querySelector('details.thoughts').textContent") == "ThoughtsHm <b>"
    finally:
        stop_server(both)


def test_a_models_text_is_never_html(browser: Browser, server: RunningServer) -> None:
    browser.open(server.url)
    text = (
        "# A <b>title</b>\n\n- one\n- `two`\n\n**bold** <img src=x onerror=alert(1)>\n```js\nlet a = '<i>';\n```\nend"
    )
    html = browser.value(f"markdown({text!r}).outerHTML")
    assert "<h3>A &lt;b&gt;title&lt;/b&gt;</h3><ul><li>one</li><li><code>two</code></li></ul>" in html
    assert "<p><strong>bold</strong> &lt;img src=x onerror=alert(1)&gt;</p>" in html
    assert (
        "<span>js</span>" in html
        and "<pre><code>let a = '&lt;i&gt;';</code></pre>" in html
        and html.endswith("<p>end</p></div>")
    )
    policy = httpx.get(server.url).headers["content-security-policy"]
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy


def test_a_page_that_lacks_a_key_says_so_and_fits_a_phone(pages: Browser) -> None:
    pages.value(
        "window.fetch = async (url, asked) => asked.headers.Authorization === 'Bearer secret'"
        " ? new Response(JSON.stringify({data: [{id: 'tiny'}]})) : new Response('{}', {status: 401});"
        "nameModels()"
    )
    pages.wait("at('notice').textContent.includes('asks for a key') && !at('notice').hidden")
    pages.resize(360, 640)
    is_shown = "getComputedStyle(at('settings')).display !== 'none'"
    assert not pages.value(is_shown)
    pages.value("at('menu').click()")
    assert pages.value(is_shown)
    pages.value("at('key').value = 'secret'; at('key').onchange()")
    pages.wait("at('notice').hidden && at('model').value === 'tiny'")
    pages.press("Escape")
    assert not pages.value(is_shown) and pages.value("document.activeElement.id") == "text"
    assert pages.value("document.documentElement.scrollWidth <= 360")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("1. a\n   - b\n   - c\n2. d", "<ol><li>a<ul><li>b</li><li>c</li></ul></li><li>d</li></ol>"),
        ("3. a\n\n4. b\n\nend", '<ol start="3"><li>a</li><li>b</li></ol><p>end</p>'),
        ("- a\n  ```\n  x\n  ```", "<pre><code>x</code></pre></div></li></ul>"),
        ("> a\n> - b\nc", "<blockquote><p>a</p><ul><li>b</li></ul></blockquote><p>c</p>"),
        ("| a | b |\n|---|:-:|\n| `1` | **2** |", "<tr><td><code>1</code></td><td><strong>2</strong></td></tr>"),
        ("**a *b* `*c*`** 2 * 3 * 4 my_var_name",
         "<p><strong>a <em>b</em> <code>*c*</code></strong> 2 * 3 * 4 my_var_name</p>"),
        ("a\n---\n~~b~~", "<p>a</p><hr><p><s>b</s></p>"),
        ("```py\ndef f():\n    pass", "<pre><code>def f():\n    pass</code></pre>"),
    ],
)  # fmt: skip
def test_markdown(pages: Browser, text: str, html: str) -> None:
    assert html in pages.value(f"markdown({json.dumps(text)}).outerHTML")
