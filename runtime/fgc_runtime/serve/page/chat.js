"use strict";
// The chat of `fgc serve`: turns, asking, this browser's memory.

const at = (id) => document.getElementById(id);
const numbers = ["temperature", "top_p", "max_tokens", "top_k", "min_p", "repetition_penalty", "seed"];
const settings = ["system", ...numbers, "logprobs", "model", "beside"];
let turns = []; // {role, content, thoughts, tokens, facts, error}, of an answer also {model, beside: another answer}
let running = null; // the AbortController of an answer in flight
let editing = -1; // the turn that is being changed

// --- turns

function show() {
  const place = at("turns");
  const isAtEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
  const hadFocus = place.contains(document.activeElement) && document.activeElement !== place;
  place.replaceChildren(...turns.map(turnElement));
  if (isAtEnd) place.scrollTop = place.scrollHeight;
  if (hadFocus && editing < 0) at("text").focus();
  at("stop").hidden = !running;
  at("send").hidden = !!running;
}

let isDrawing = false;
/** Draws the turn that grows again, once for each picture of the screen. */
function showLast() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    const place = at("turns");
    if (!running || place.children.length !== turns.length) return;
    const isAtEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
    place.lastElementChild.replaceWith(turnElement(turns.at(-1), turns.length - 1));
    if (isAtEnd) place.scrollTop = place.scrollHeight;
  });
}

function turnElement(turn, index) {
  const element = make("div", undefined, `turn ${turn.role}${turn.error && !turn.beside ? " error" : ""}`);
  if (index === editing) {
    element.append(editor(turn, index));
    return element;
  }
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
  if (!running) element.append(buttons(turn, index));
  return element;
}

function buttons(turn, index) {
  const row = make("div", undefined, "facts buttons");
  const button = make("button", turn.role === "user" ? "Edit" : "Retry");
  button.type = "button";
  button.onclick = () => (turn.role === "user" ? edit(index) : retry(index));
  row.append(button);
  if (turn.role !== "user" && turn.content && !turn.beside) row.append(copyButton(turn.content));
  return row;
}

function answerElements(answer) {
  const elements = [];
  if (answer.thoughts) {
    const thoughts = make("details", answer.thoughts, "thoughts");
    thoughts.prepend(make("summary", "Thoughts"));
    thoughts.open = answer.isOpen ?? !answer.content;
    thoughts.firstChild.onclick = () => (answer.isOpen = !thoughts.open);
    elements.push(thoughts);
  }
  const hasTokens = at("logprobs").checked && answer.tokens?.length;
  elements.push(hasTokens ? tokenSpans(answer.tokens) : markdown(answer.content));
  if (answer.error) elements.push(make("div", answer.error, "problem"));
  return elements.concat(make("div", answer.facts ?? "", "facts"));
}

/** Returns the tokens, the unlikely ones coloured. The arrow keys, the pointer and a finger choose one. */
function tokenSpans(tokens) {
  const whole = make("div");
  whole.style.whiteSpace = "pre-wrap";
  whole.tabIndex = 0;
  whole.setAttribute("aria-label", "Tokens: the arrow keys show the probability of each");
  const percent = (logprob) => (100 * Math.exp(logprob)).toFixed(1) + " %";
  const decoder = new TextDecoder(); // a character may be made of several tokens
  for (const token of tokens) {
    const text = token.bytes ? decoder.decode(new Uint8Array(token.bytes), { stream: true }) : token.token;
    const span = make("span", text, "token");
    const isKnown = Number.isFinite(token.logprob);
    span.dataset.tip = [
      JSON.stringify(token.token),
      isKnown ? `${percent(token.logprob)} (log probability ${token.logprob.toFixed(3)})` : "no log probability",
    ].concat((token.top_logprobs ?? []).map((top) => `${JSON.stringify(top.token)} ${percent(top.logprob)}`)).join("\n");
    if (isKnown) span.style.background = `rgb(255 96 0 / ${(0.5 * (1 - Math.exp(token.logprob))).toFixed(2)})`;
    span.onpointerenter = () => tell(span);
    whole.append(span);
  }
  whole.onpointerleave = () => tell(null);
  whole.onblur = () => tell(null);
  whole.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const now = [...whole.children].indexOf(whole.querySelector(".chosen"));
    tell(whole.children[Math.max(0, Math.min(whole.children.length - 1, now < 0 ? 0 : now + step))]);
  };
  return whole;
}

function tell(span) {
  for (const each of document.querySelectorAll(".token.chosen")) each.classList.remove("chosen");
  at("tip").hidden = !span;
  if (!span) return;
  span.classList.add("chosen");
  at("tip").textContent = span.dataset.tip;
  const place = span.getClientRects()[0] ?? span.getBoundingClientRect();
  const own = at("tip").getBoundingClientRect();
  at("tip").style.left = `${Math.max(4, Math.min(place.left, innerWidth - own.width - 4))}px`;
  at("tip").style.top = `${place.bottom + own.height + 4 > innerHeight ? place.top - own.height - 4 : place.bottom + 4}px`;
}

function edit(index) {
  editing = index;
  show();
}

function editor(turn, index) {
  const form = make("form");
  const text = make("textarea", turn.content);
  text.setAttribute("aria-label", "Message to change");
  text.rows = 2;
  const cancel = make("button", "Cancel");
  cancel.type = "button";
  cancel.onclick = () => {
    editing = -1;
    show();
    at("text").focus();
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    if (running || !text.value.trim()) return;
    editing = -1;
    turns = turns.slice(0, index).concat({ role: "user", content: text.value });
    answer();
  };
  text.onkeydown = (event) => {
    if (event.key === "Escape") cancel.click();
    else sendOnEnter(event, form);
    event.stopPropagation();
  };
  form.append(text, make("button", "Send again"), cancel);
  requestAnimationFrame(() => {
    text.focus();
    text.setSelectionRange(text.value.length, text.value.length);
  });
  return form;
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
  for (const name of numbers) if (at(name).value !== "") asked[name] = Number(at(name).value);
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
      const data = part.startsWith("data: ") ? part.slice(6) : "[DONE]"; // comments keep the line open
      if (data !== "[DONE]") yield JSON.parse(data);
    }
  }
}

async function answer() {
  const [model, other] = [at("model").value, at("beside").value];
  const asked = [body(model, false), body(other, true)];
  const turn = { role: "assistant", model, content: "", thoughts: "", tokens: [] };
  if (other) turn.beside = { model: other, content: "", thoughts: "", tokens: [] };
  save();
  const [name, said] = [chat, turns]; // another chat may be opened meanwhile
  turns.push(turn);
  editing = -1;
  running = new AbortController();
  at("status").textContent = "The answer begins";
  show();
  at("turns").scrollTop = at("turns").scrollHeight;
  await Promise.all([receive(asked[0], turn), other && receive(asked[1], turn.beside)]);
  running = null;
  at("status").textContent = turn.error ? `Failed: ${turn.error}` : `The answer is complete: ${turn.content.slice(0, 500)}`;
  save(name, said);
  show();
}

async function receive(asked, turn) {
  const clock = { began: performance.now(), first: 0, pieces: 0 };
  let reason = null;
  try {
    const options = { method: "POST", headers: headers(), body: JSON.stringify(asked), signal: running.signal };
    const response = await fetch("/v1/chat/completions", options);
    if (!response.ok) throw new Error(await reasonOf(response));
    for await (const event of events(response)) {
      if (event.error) throw new Error(event.error.message);
      for (const choice of event.choices) {
        const [text, thought] = [choice.delta.content ?? "", choice.delta.reasoning_content ?? ""];
        turn.content += text;
        turn.thoughts += thought;
        turn.tokens.push(...(choice.logprobs?.content ?? []));
        reason = choice.finish_reason ?? reason;
        if (text || thought) {
          clock.first ||= performance.now();
          clock.pieces++;
        }
      }
      turn.facts = facts(clock, event.usage, reason);
      showLast();
    }
    if (reason === null) throw new Error("the server closed the connection before the answer was complete");
  } catch (error) {
    if (error.name === "AbortError") turn.facts = `stopped; ${facts(clock, null, null)}`;
    else turn.error = error instanceof TypeError ? "the server cannot be reached" : error.message;
  }
}

async function reasonOf(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error.message;
  } catch {
    return `${response.status} ${response.statusText}`;
  }
}

/** Says how much was read and written, and how fast: the rate is that of the tokens behind the first one. */
function facts(clock, used, reason) {
  const seconds = (performance.now() - clock.first) / 1000;
  const count = used?.completion_tokens ?? clock.pieces;
  const rate = count > 1 && seconds > 0 ? `, ${((count - 1) / seconds).toFixed(1)} a second` : "";
  const wait = clock.first ? `first after ${((clock.first - clock.began) / 1000).toFixed(2)} s` : "";
  const read = used ? `${used.prompt_tokens} tokens read` : "";
  const written = used ? `${count} written${rate}` : `about ${count} tokens written${rate}`;
  const end = reason === "length" ? "cut off: its longest length is reached" : "";
  return [read, written, wait, end].filter(Boolean).join(", ");
}

// --- this browser's memory: a list of chats; each tab has one of them open

const MEMORY = "fgc-chats";
const MAX_CHATS = 100;
let chat = sessionStorage.getItem("fgc-chat");

function remembered() {
  try {
    const { chats = {}, kept = {} } = JSON.parse(localStorage.getItem(MEMORY) ?? "{}");
    return { chats, kept };
  } catch {
    return { chats: {}, kept: {} };
  }
}

function save(name = chat, said = turns) {
  const { chats } = remembered(); // another tab may have written meanwhile
  const kept = Object.fromEntries(settings.map((id) => [id, at(id).type === "checkbox" ? at(id).checked : at(id).value]));
  if (said.length) {
    const before = chats[name];
    const isNew = !before || JSON.stringify(before.turns) !== JSON.stringify(said);
    chats[name] = { turns: said, at: isNew ? Date.now() : before.at };
  } else delete chats[name];
  const names = newest(chats);
  for (let count = Math.min(names.length, MAX_CHATS); count >= 0; count = Math.floor(count / 2)) {
    const fewer = Object.fromEntries(names.slice(0, count).map((name) => [name, chats[name]]));
    try {
      localStorage.setItem(MEMORY, JSON.stringify({ chats: fewer, kept }));
      break;
    } catch {
      if (!count) break; // this browser remembers nothing; older chats go before newer ones
    }
  }
  showChats();
}

const newest = (chats) => Object.keys(chats).sort((one, other) => chats[other].at - chats[one].at);

function openChat(name) {
  running?.abort();
  chat = name ?? `${Date.now()}-${Math.random()}`;
  sessionStorage.setItem("fgc-chat", chat);
  turns = remembered().chats[chat]?.turns ?? [];
  editing = -1;
  show();
  showChats();
  at("turns").scrollTop = at("turns").scrollHeight;
}

function showChats() {
  const { chats } = remembered();
  at("chats").replaceChildren(...newest(chats).map((name) => chatEntry(name, chats[name])));
}

function chatEntry(name, { turns: said }) {
  const entry = make("li");
  const title = said[0]?.content.slice(0, 60) || "(empty)";
  const open = make("button", title);
  open.type = "button";
  open.title = title;
  if (name === chat) open.setAttribute("aria-current", "true");
  open.onclick = () => {
    openChat(name);
    toChat();
  };
  const remove = make("button", "×");
  remove.type = "button";
  remove.setAttribute("aria-label", `Delete the chat: ${title}`);
  remove.onclick = () => {
    if (!confirm(`Delete this chat?\n\n${title}`)) return;
    const memory = remembered();
    delete memory.chats[name];
    localStorage.setItem(MEMORY, JSON.stringify(memory));
    if (name === chat) openChat();
    showChats();
  };
  entry.append(open, remove);
  return entry;
}

function restore() {
  const { chats, kept } = remembered();
  for (const id of settings)
    if (kept[id] !== undefined) at(id)[at(id).type === "checkbox" ? "checked" : "value"] = kept[id];
  openChat(chat ?? newest(chats)[0]);
}

async function nameModels() {
  const { kept } = remembered();
  let problem = "";
  try {
    const response = await fetch("/v1/models", { headers: headers() });
    if (response.ok) {
      const names = (await response.json()).data.map((model) => model.id);
      document.title = names[0];
      for (const [id, choices] of [["model", names], ["beside", ["", ...names]]]) {
        const chosen = at(id).value || kept[id];
        at(id).replaceChildren(...choices.map((name) => new Option(name || "none", name)));
        if (choices.includes(chosen)) at(id).value = chosen;
      }
      at("beside").parentElement.hidden = names.length < 2;
      at("name").textContent = at("model").value;
    } else problem = response.status === 401 ? "This server asks for a key: type it below Settings." : await reasonOf(response);
  } catch {
    problem = "The server cannot be reached.";
  }
  at("notice").textContent = problem;
  at("notice").hidden = !problem;
}

// --- what keys and buttons do

function sendOnEnter(event, form) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
}

function toChat() {
  document.body.classList.remove("with-settings");
  at("text").focus();
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
  const last = turns.findLastIndex((turn) => turn.role === "user");
  if (event.key === "ArrowUp" && !at("text").value && !running && last >= 0) {
    event.preventDefault();
    edit(last);
  } else sendOnEnter(event, at("ask"));
};
document.onkeydown = (event) => {
  if (event.key !== "Escape") return;
  if (document.body.classList.contains("with-settings")) toChat();
  else running?.abort();
};
at("stop").onclick = () => running?.abort();
at("clear").onclick = at("new").onclick = () => {
  openChat();
  toChat();
};
at("menu").onclick = () => {
  document.body.classList.add("with-settings");
  at("done").focus();
};
at("done").onclick = toChat;
at("key").onchange = nameModels;
at("model").addEventListener("change", () => (at("name").textContent = at("model").value));
for (const id of settings)
  at(id).addEventListener("change", () => {
    save();
    show();
  });
restore();
nameModels();
