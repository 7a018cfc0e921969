"use strict";
// Markdown as elements: headings, paragraphs, lists in lists, quotes, tables, code; links stay text. A model's text
// never becomes HTML: it is only ever set as text of elements made here.

function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

const INLINE = [
  [/`` (.+?) ``|`([^`]+)`/, "code"],
  [/\*\*(?=\S)(.+?)(?<=\S)\*\*(?!\*)|(?<!\w)__(?=\S)(.+?)(?<=\S)__(?!\w)/, "strong"],
  [/\*(?=[^\s*])([^*]+)(?<=\S)\*|(?<!\w)_(?=[^\s_])([^_]+)(?<=\S)_(?!\w)/, "em"],
  [/~~(?=\S)(.+?)(?<=\S)~~/, "s"],
];

function inline(parent, text) {
  for (;;) {
    let first = null;
    for (const [pattern, tag] of INLINE) {
      const found = text.match(pattern);
      if (found && (!first || found.index < first.found.index)) first = { found, tag };
    }
    if (!first) return parent.append(text);
    const { found, tag } = first;
    const inner = found.slice(1).find((each) => each !== undefined);
    const element = make(tag);
    if (tag === "code") element.textContent = inner;
    else inline(element, inner);
    parent.append(text.slice(0, found.index), element);
    text = text.slice(found.index + found[0].length);
  }
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", text); // a page that came over plain HTTP has no clipboard
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

function copyButton(text) {
  const button = make("button", "Copy");
  button.type = "button";
  button.onclick = () => copy(text, button);
  return button;
}

function codeBlock(lines, language) {
  const block = make("div", undefined, "code");
  const head = make("div");
  head.append(make("span", language), copyButton(lines.join("\n")));
  const pre = make("pre");
  pre.append(make("code", lines.join("\n")));
  block.append(head, pre);
  return block;
}

const FENCE = /^(\s*)(```+|~~~+)\s*([^\s`]*)[^`]*$/;
const ITEM = /^(\s*)(?:[-*+]|(\d{1,9})[.)])(\s+)(.*)$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}(?:(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,})$/;
const ROW = /^\s*\|?(.*?)\|?\s*$/;
const IS_BELOW_HEAD = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;

const indentOf = (line) => line.match(/^\s*/)[0].length;
const cellsOf = (line) => line.match(ROW)[1].split(/(?<!\\)\|/).map((cell) => cell.trim().replace(/\\\|/g, "|"));

function markdown(text) {
  const whole = make("div");
  blocks(whole, text.split("\n"));
  return whole;
}

function blocks(parent, lines) {
  let paragraph = null;
  for (let i = 0; i < lines.length; ) {
    const line = lines[i];
    const found = blockAt(lines, i);
    if (found) {
      parent.append(found.element);
      i = found.next;
      paragraph = null;
      continue;
    }
    i++;
    if (!line.trim()) {
      paragraph = null;
      continue;
    }
    if (paragraph) paragraph.append(make("br"));
    else parent.append((paragraph = make("p")));
    inline(paragraph, line.trim());
  }
}

/** Returns the element that begins at a line, and the line behind it; null for a line of a paragraph. */
function blockAt(lines, i) {
  const line = lines[i];
  const fence = line.match(FENCE);
  if (fence) return fenced(lines, i, fence);
  const heading = line.match(HEADING);
  if (heading) {
    const title = make("h" + Math.min(6, heading[1].length + 2));
    inline(title, heading[2]);
    return { element: title, next: i + 1 };
  }
  if (RULE.test(line)) return { element: make("hr"), next: i + 1 };
  if (ITEM.test(line)) return list(lines, i);
  if (/^ {0,3}>/.test(line)) {
    let next = i;
    while (next < lines.length && /^ {0,3}>/.test(lines[next])) next++;
    const quote = make("blockquote");
    blocks(quote, lines.slice(i, next).map((each) => each.replace(/^ {0,3}> ?/, "")));
    return { element: quote, next };
  }
  if (line.includes("|") && IS_BELOW_HEAD.test(lines[i + 1] ?? "") && lines[i + 1].includes("-")) return table(lines, i);
  return null;
}

function fenced(lines, i, [, indent, mark, language]) {
  const ends = (line) => line.trim().startsWith(mark) && !line.trim().replaceAll(mark[0], "");
  let end = i + 1;
  while (end < lines.length && !ends(lines[end])) end++; // a block that still grows has no end
  const inner = lines.slice(i + 1, end).map((line) => line.slice(Math.min(indent.length, indentOf(line))));
  return { element: codeBlock(inner, language), next: end + 1 };
}

function list(lines, i) {
  const [, indent, number] = lines[i].match(ITEM);
  const element = make(number ? "ol" : "ul");
  if (number && number !== "1") element.start = Number(number);
  const written = (at) => {
    while (at < lines.length && !lines[at].trim()) at++; // empty lines may stand between and within items
    return at;
  };
  for (;;) {
    const item = lines[i]?.match(ITEM);
    if (!item || item[1].length !== indent.length || !item[2] !== !number) return { element, next: i };
    const entry = make("li");
    inline(entry, item[4]);
    const start = ++i;
    while (i < lines.length && indentOf(lines[written(i)] ?? "") > indent.length) i = written(i) + 1;
    blocks(entry, lines.slice(start, i).map((line) => line.slice(Math.min(indentOf(line), indent.length + 2))));
    element.append(entry);
    if (lines[written(i)]?.match(ITEM)?.[1].length === indent.length) i = written(i);
  }
}

function table(lines, i) {
  const element = make("table");
  const addRow = (line, tag) => {
    const row = make("tr");
    for (const cell of cellsOf(line)) inline(row.appendChild(make(tag)), cell);
    element.append(row);
  };
  addRow(lines[i], "th");
  for (i += 2; i < lines.length && lines[i].includes("|"); i++) addRow(lines[i], "td");
  return { element, next: i };
}
