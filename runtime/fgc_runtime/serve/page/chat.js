"use strict";
// The chat of `fgc serve`. A model's text never becomes HTML: it is only ever set as text of elements made here.

const at = (id) => document.getElementById(id);
const settings = ["system", "temperature", "top_p", "max_tokens", "seed", "logprobs"];
let turns = []; // {role, content, thoughts, tokens, facts, error}, of an answer also {model, beside: another answer}
let running = null; // the AbortController of an answer in flight

function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

// --- Markdown: paragraphs, headings, lists, code blocks, code, bold, italics; links stay text.

function inline(parent, text) {
  const pattern = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*/g;
  let from = 0;
  for (const found of text.matchAll(pattern)) {
    parent.append(text.slice(from, found.index));
    const tag = found[1] !== undefined ? "code" : found[2] !== undefined ? "strong" : "em";
    parent.append(make(tag, found[1] ?? found[2] ?? found[3]));
    from = found.index + found[0].length;
  }
  parent.append(text.slice(from));
}

function codeBlock(lines) {
  const block = make("div");
  const copy = make("button", "Copy");
  copy.type = "button";
  copy.onclick = () => navigator.clipboard.writeText(lines.join("\n"));
  const pre = make("pre");
  pre.append(make("code", lines.join("\n")));
  block.append(pre, copy);
  return block;
}

function markdown(text) {
  const whole = make("div");
  const lines = text.split("\n");
  let list = null;
  let paragraph = null;
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i];
    const item = line.match(/^\s*(?:[-*]|(\d+)[.)])\s+(.*)/);
    const heading = line.match(/^(#{1,6})\s+(.*)/);
    if (!item) list = null;
    if (line.startsWith("```")) {
      const end = lines.findIndex((each, n) => n > i && each.startsWith("```"));
      const last = end < 0 ? lines.length : end; // a block that still grows
      whole.append(codeBlock(lines.slice(i + 1, last)));
      i = last;
      paragraph = null;
    } else if (item) {
      if (!list) whole.append((list = make(item[1] ? "ol" : "ul")));
      const entry = make("li");
      inline(entry, item[2]);
      list.append(entry);
      paragraph = null;
    } else if (heading) {
      const title = make("h" + Math.min(6, heading[1].length + 2));
      inline(title, heading[2]);
      whole.append(title);
      paragraph = null;
    } else if (!line.trim()) {
      paragraph = null;
    } else {
      if (paragraph) paragraph.append(make("br"));
      else whole.append((paragraph = make("p")));
      inline(paragraph, line);
    }
  }
  return whole;
}

function tokenSpans(tokens) {
  const whole = make("div");
  whole.style.whiteSpace = "pre-wrap";
  for (const token of tokens) {
    const span = make("span", token.token, "token");
    const percent = (logprob) => (100 * Math.exp(logprob)).toFixed(1) + " %";
    span.title = [`${percent(token.logprob)} (log probability ${token.logprob.toFixed(3)})`]
      .concat((token.top_logprobs ?? []).map((top) => `${JSON.stringify(top.token)} ${percent(top.logprob)}`))
      .join("\n");
    whole.append(span);
  }
  return whole;
}

// --- turns

function show() {
  const place = at("turns");
  const isAtEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
  place.replaceChildren(...turns.map(turnElement));
  if (isAtEnd) place.scrollTop = place.scrollHeight;
  at("stop").hidden = !running;
  at("send").disabled = !!running;
}

function turnElement(turn, index) {
  const element = make("div", undefined, `turn ${turn.role}${turn.error && !turn.beside ? " error" : ""}`);
  if (turn.role === "user") {
    const text = make("div", turn.content);
    text.style.whiteSpace = "pre-wrap";
    element.append(text);
  } else if (turn.beside) {
    const columns = make("div", undefined, "columns");
    for (const answer of [turn, turn.beside]) {
      const column = make("div", undefined, answer.error ? "error" : "");
      column.append(make("strong", answer.model), ...answerElements(answer));
      columns.append(column);
    }
    element.append(columns);
  } else element.append(...answerElements(turn));
  const facts = make("div", undefined, "facts");
  if (!running) {
    const button = make("button", turn.role === "user" ? "Edit" : "Retry");
    button.type = "button";
    button.onclick = () => (turn.role === "user" ? edit(index) : retry(index));
    facts.append(button);
  }
  element.append(facts);
  return element;
}

function answerElements(answer) {
  const elements = [];
  if (answer.thoughts) {
    const thoughts = make("details", answer.thoughts);
    thoughts.prepend(make("summary", "Thoughts"));
    thoughts.open = !answer.content;
    elements.push(thoughts);
  }
  const hasTokens = at("logprobs").checked && answer.tokens?.length;
  elements.push(hasTokens ? tokenSpans(answer.tokens) : markdown(answer.content));
  if (answer.error) elements.push(make("div", answer.error, "problem"));
  return elements.concat(make("div", answer.facts ?? "", "facts"));
}

function edit(index) {
  at("text").value = turns[index].content;
  turns = turns.slice(0, index);
  save();
  show();
  at("text").focus();
}

function retry(index) {
  turns = turns.slice(0, index);
  answer();
}

// --- asking

function body(model, isBeside) {
  const said = turns.map((turn) => (isBeside && turn.beside ? { role: turn.role, ...turn.beside } : turn));
  const isSaid = (turn, index) => !turn.error && !said[index + 1]?.error; // nor a question whose answer failed
  const messages = said.filter(isSaid).map(({ role, content }) => ({ role, content }));
  const system = at("system").value.trim();
  const asked = { messages: system ? [{ role: "system", content: system }, ...messages] : messages };
  for (const name of ["temperature", "top_p", "max_tokens", "seed"])
    if (at(name).value !== "") asked[name] = Number(at(name).value);
  if (at("logprobs").checked) Object.assign(asked, { logprobs: true, top_logprobs: 5 });
  return { ...asked, model, stream: true, stream_options: { include_usage: true } };
}

function headers() {
  const key = at("key").value;
  return { "Content-Type": "application/json", ...(key ? { Authorization: `Bearer ${key}` } : {}) };
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (held + value).split("\n\n");
    held = parts.pop();
    for (const part of parts) {
      const data = part.replace(/^data: /, "");
      if (data !== "[DONE]") yield JSON.parse(data);
    }
  }
}

async function answer() {
  const [model, other] = [at("model").value, at("beside").value];
  const asked = [body(model, false), body(other, true)];
  const turn = { role: "assistant", model, content: "", thoughts: "", tokens: [] };
  if (other) turn.beside = { model: other, content: "", thoughts: "", tokens: [] };
  turns.push(turn);
  running = new AbortController();
  show();
  await Promise.all([receive(asked[0], turn), other && receive(asked[1], turn.beside)]);
  running = null;
  save();
  show();
}

async function receive(asked, turn) {
  const began = performance.now();
  try {
    const options = { method: "POST", headers: headers(), body: JSON.stringify(asked), signal: running.signal };
    const response = await fetch("/v1/chat/completions", options);
    if (!response.ok) throw new Error((await response.json()).error.message);
    for await (const event of events(response)) {
      if (event.error) throw new Error(event.error.message);
      for (const choice of event.choices) {
        turn.content += choice.delta.content ?? "";
        turn.thoughts += choice.delta.reasoning_content ?? "";
        turn.tokens.push(...(choice.logprobs?.content ?? []));
      }
      if (event.usage) turn.facts = usage(event.usage, performance.now() - began);
      show();
    }
  } catch (error) {
    if (error.name === "AbortError") turn.facts = "stopped";
    else turn.error = error.message;
  }
}

function usage(used, milliseconds) {
  const rate = (1000 * used.completion_tokens) / milliseconds;
  return `${used.prompt_tokens} tokens read, ${used.completion_tokens} written, ${rate.toFixed(1)} a second`;
}

// --- this browser's memory

function save() {
  const kept = Object.fromEntries(settings.map((id) => [id, at(id).type === "checkbox" ? at(id).checked : at(id).value]));
  localStorage.setItem("fgc-chat", JSON.stringify({ turns, kept }));
}

function restore() {
  try {
    const { turns: earlier, kept } = JSON.parse(localStorage.getItem("fgc-chat") ?? "{}");
    turns = earlier ?? [];
    for (const id of settings)
      if (kept && kept[id] !== undefined) at(id)[at(id).type === "checkbox" ? "checked" : "value"] = kept[id];
  } catch {
    turns = [];
  }
}

async function nameModels() {
  const response = await fetch("/v1/models", { headers: headers() });
  if (!response.ok) return;
  const names = (await response.json()).data.map((model) => model.id);
  document.title = names[0];
  for (const [id, choices] of [["model", names], ["beside", ["", ...names]]]) {
    const chosen = at(id).value;
    at(id).replaceChildren(...choices.map((name) => new Option(name || "none", name)));
    if (choices.includes(chosen)) at(id).value = chosen;
  }
  at("beside").parentElement.hidden = names.length < 2;
}

at("ask").onsubmit = (event) => {
  event.preventDefault();
  const text = at("text").value;
  if (running || !text.trim()) return;
  turns.push({ role: "user", content: text });
  at("text").value = "";
  answer();
};
at("text").onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  at("ask").requestSubmit();
};
at("stop").onclick = () => running?.abort();
at("clear").onclick = () => {
  running?.abort();
  turns = [];
  save();
  show();
};
at("key").onchange = nameModels;
for (const id of settings)
  at(id).addEventListener("change", () => {
    save();
    show();
  });
restore();
show();
nameModels();
