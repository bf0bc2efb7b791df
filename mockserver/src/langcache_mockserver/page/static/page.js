// The script of the page. Whatever comes from the server is shown as text, never as markup.

const OUTCOMES = { hit: "Hit", rejected: "Rejected", near_miss: "Near miss", miss: "Miss" };
const SLACK = 1e-6; // a similarity that is below a threshold by less reaches it
const POLL_MILLIS = 2000;
const MOST_LOOKUPS = 5000;
const ROWS = 25;

const byId = (id) => document.getElementById(id);
const changeToken = document.body.dataset.changeToken;
const query = new URLSearchParams(location.search);
let cache = query.get("cache") ?? "";

// The console's API

const CONSOLE = "/console/v1";
const cachePath = (id = cache) => `${CONSOLE}/caches/${encodeURIComponent(id)}`;

async function ask(path, body, method = body === undefined ? "GET" : "POST") {
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (changeToken) headers["x-csrf-token"] = changeToken;
  const answer = await fetch(path, {
    method, headers, body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.status === 401 && changeToken) {
    location.assign(`/page/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  const text = await answer.text();
  const value = text ? JSON.parse(text) : null;
  if (!answer.ok) throw new Error(value?.detail ?? `the server answered with status ${answer.status}`);
  return value;
}

/** Run something, and show what goes wrong. */
async function attempt(work) {
  try {
    const result = await work();
    byId("problem").hidden = true;
    return result;
  } catch (error) {
    const problem = byId("problem");
    problem.textContent = error instanceof TypeError ? "The server cannot be reached." : `Error: ${error.message}`;
    problem.hidden = false;
    return undefined;
  }
}

const say = (text) => { byId("said").textContent = text; };

// Elements

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "text") element.textContent = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
const badge = (kind, text) => make("span", { class: `badge ${kind}`, text });
const facts = (list, pairs) => list.replaceChildren(
  ...pairs.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", { text: value })]));

const number = (value) => value.toLocaleString("en");
const exactly = (similarity) => similarity.toFixed(3);
const millis = (value) => `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`;
const counted = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

function moment(text) {
  const at = new Date(text);
  return at.toDateString() === new Date().toDateString() ? at.toLocaleTimeString() : at.toLocaleString();
}

function lasting(milliseconds) {
  for (const [unit, size] of [["day", 864e5], ["hour", 36e5], ["minute", 6e4]]) {
    if (milliseconds >= size) return counted(Math.round(milliseconds / size), unit);
  }
  return counted(Math.max(1, Math.round(milliseconds / 1000)), "second");
}

function tags(attributes) {
  return Object.entries(attributes).map(([name, value]) => make("span", { class: "tag", text: `${name}: ${value}` }));
}

function unfolded(title, text) {
  return make("details", {}, make("summary", { text: title }), make("div", { class: "text", text }));
}

/** Have the browser save what a path returns. */
function download(path, name) {
  const link = make("a", { href: path, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}

// The cache

async function chooseCache() {
  const { caches } = await ask(`${CONSOLE}/caches`);
  byId("caches").replaceChildren(...caches.map(({ cacheId, name }) => make("option", {
    value: cacheId, label: name === cacheId ? undefined : name })));
  if (!cache) cache = caches[0]?.cacheId ?? "default";
  const input = byId("cache");
  input.value = cache;
  // A field with a value shows only the suggestions that match it.
  input.addEventListener("focus", () => input.select());
  const open = () => {
    const chosen = input.value.trim();
    if (!chosen || chosen === cache || chosen === "." || chosen === "..") return;
    query.set("cache", chosen);
    location.search = query;
  };
  byId("cache-form").addEventListener("submit", (event) => { event.preventDefault(); open(); });
  input.addEventListener("change", open);
  byId("cache-form").hidden = false;
  for (const link of document.querySelectorAll("a[data-keeps-cache]")) {
    link.href = `${link.pathname}?${new URLSearchParams({ cache })}`;
  }
  return caches;
}

// Playground

async function playground() {
  const slider = byId("threshold");
  const shown = byId("threshold-value");
  const { defaultSearchThreshold } = await ask(`${CONSOLE}/server`);
  slider.value = defaultSearchThreshold;
  shown.textContent = exactly(defaultSearchThreshold);
  let isChosen = false; // else the threshold of the cache counts
  let asked = null;
  let shownPrompt = null; // that of the verdict
  let latest = 0;
  let timer = 0;

  function attributes() {
    const rows = [...byId("attributes").children].map((row) => [...row.querySelectorAll("input")].map((each) => each.value.trim()));
    return Object.fromEntries(rows.filter(([name]) => name));
  }

  byId("add-attribute").addEventListener("click", () => {
    const row = make("div", { class: "attribute" },
      make("input", { "aria-label": "Name of the attribute", placeholder: "name", maxlength: 32 }),
      make("input", { "aria-label": "Value of the attribute", placeholder: "value", maxlength: 500 }),
      make("button", { type: "button", text: "×", "aria-label": "Remove the attribute", onclick: () => row.remove() }));
    byId("attributes").append(row);
    row.querySelector("input").focus();
  });

  async function search() {
    const body = { prompt: asked, searchStrategies: byId("strategies").value.split(",") };
    if (isChosen) body.similarityThreshold = Number(slider.value);
    if (byId("verify").value) body.verify = byId("verify").value;
    const wanted = attributes();
    if (Object.keys(wanted).length) body.attributes = wanted;
    const turn = ++latest;
    const found = await attempt(() => ask(`${cachePath()}/explain`, body));
    if (!found || turn !== latest) return;
    if (!isChosen) {
      slider.value = found.threshold;
      shown.textContent = exactly(found.threshold);
    }
    showVerdict(found);
    showCandidates(found);
    byId("store").hidden = false;
    shownPrompt = body.prompt;
    byId("store-prompt").textContent = shownPrompt;
  }

  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    asked = byId("prompt").value;
    search();
  });
  byId("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); byId("ask").requestSubmit(); }
  });
  const again = (delay) => {
    clearTimeout(timer);
    if (asked !== null) timer = setTimeout(search, delay);
  };
  slider.addEventListener("input", () => {
    isChosen = true;
    shown.textContent = exactly(Number(slider.value));
    again(80);
  });
  for (const id of ["verify", "strategies"]) byId(id).addEventListener("change", () => again(0));
  byId("store").addEventListener("submit", async (event) => {
    event.preventDefault();
    const entry = { prompt: shownPrompt, response: byId("response").value, attributes: attributes() };
    const done = await attempt(async () => {
      const result = await ask(`${cachePath()}/entries`, { entries: [entry] });
      if (result.errors.length) throw new Error(`${result.errors[0].field}: ${result.errors[0].message}`);
      return result;
    });
    if (!done) return;
    byId("response").value = "";
    say("Stored.");
    search();
  });
  byId("prompt").focus();
}

function verdictText({ outcome, threshold, bestSimilarity, candidates }) {
  if (bestSimilarity === null) return "There are no entries to compare with.";
  const nearest = `The nearest entry has a similarity of ${exactly(bestSimilarity)}`;
  const reaching = candidates.filter((each) => each.reachesThreshold).length;
  return {
    hit: `${nearest}; a hit has to reach ${exactly(threshold)}.`,
    rejected: `${counted(reaching, "entry reaches", "entries reach")} the threshold of ${exactly(threshold)}, but the checks turned ${reaching === 1 ? "it" : "them"} down.`,
    near_miss: `${nearest}, just below the threshold of ${exactly(threshold)}.`,
    miss: `${nearest}; a hit has to reach ${exactly(threshold)}.`,
  }[outcome];
}

function showVerdict(found) {
  const steps = [["Embedding", found.embeddingMillis], ["Search", found.searchMillis], ["Checks", found.verifyMillis]];
  byId("verdict").replaceChildren(
    make("div", { class: "outcome" }, badge(found.outcome, OUTCOMES[found.outcome]), make("p", { text: verdictText(found) })),
    found.response === null ? "" : make("div", { class: "answer text", text: found.response }),
    make("dl", { class: "steps" }, ...steps.map(([name, value]) =>
      make("div", {}, make("dt", { text: name }), make("dd", { text: millis(value) })))));
}

function showCandidates({ candidates, threshold }) {
  byId("candidates-card").hidden = candidates.length === 0;
  byId("candidates").replaceChildren(...candidates.map((each) => candidateItem(each, threshold)));
}

function candidateItem(candidate, threshold) {
  const { verdict, reachesThreshold, served, similarity } = candidate;
  let kind = "miss";
  let state = "Below the threshold";
  let note = verdict.accepted ? "" : `Would be turned down: ${verdict.reason}.`;
  if (served) [kind, state, note] = ["hit", "Served", verdict.reason ? `Accepted: ${verdict.reason}.` : ""];
  else if (reachesThreshold && verdict.accepted) [kind, state, note] = ["hit", "Passed", "Another entry is served."];
  else if (reachesThreshold) [kind, state, note] = ["rejected", "Turned down", `Turned down: ${verdict.reason}.`];
  if (verdict.details) note += ` (${verdict.details})`;
  const scale = (value) => `${Math.max(0, Math.min(1, (value - 0.5) * 2)) * 100}%`;
  const bar = make("div", { class: `fill ${kind}` });
  bar.style.width = scale(similarity);
  const tick = make("div", { class: "tick" });
  tick.style.left = `calc(${scale(threshold)} - 1px)`;
  return make("li", {},
    make("div", { class: "candidate-head" }, make("div", { class: "text", text: candidate.prompt }), badge(kind, state)),
    make("div", { class: "similarity" },
      make("div", { class: "track", "aria-hidden": "true" }, bar, tick),
      make("div", { class: "number", text: exactly(similarity), title: "similarity" })),
    note ? make("p", { class: "note", text: note }) : null,
    make("div", { class: "meta" }, ...tags(candidate.attributes)),
    unfolded("Response", candidate.response));
}

// Lookups

async function lookups() {
  let all = [];
  let cursor = null;
  let isPaused = false;
  let rows = ROWS;
  let chosen = null;
  const labels = new Map();
  const pair = (lookup) => JSON.stringify([lookup.prompt, lookup.cachedPrompt]);

  async function readLabels() {
    const { reports } = await ask(`${cachePath()}/feedback`);
    labels.clear();
    for (const report of reports) labels.set(pair(report), report.right);
  }

  /** Read what is new; return whether anything changed. */
  async function read() {
    const start = () => new URLSearchParams(cursor === null ? { limit: 1000, latest: true } : { limit: 1000, cursor });
    let page = await ask(`${cachePath()}/lookups?${start()}`);
    byId("off").hidden = page.recorded > 0;
    byId("recorded").hidden = page.recorded === 0;
    if (page.recorded === 0) return false;
    let isNew = cursor === null;
    for (;;) {
      if (page.startsOver) [all, isNew] = [[], true];
      if (page.lookups.length) isNew = true;
      all = all.concat(page.lookups).slice(-MOST_LOOKUPS);
      cursor = page.cursor;
      if (!page.hasMore) return isNew;
      page = await ask(`${cachePath()}/lookups?${start()}`);
    }
  }

  const current = () => (all.length ? all[all.length - 1].threshold : defaultSearchThreshold);
  const filtered = () => all.filter((each) => !byId("outcome").value || each.outcome === byId("outcome").value);

  function show() {
    showCharts();
    showRows();
  }

  function showCharts() {
    showTotals(all);
    showTime(all);
    showHistogram(all, labels, pair, current(), chosen ?? current(), (value) => { chosen = value; });
  }

  function showRows() {
    const wanted = filtered();
    byId("lookups").replaceChildren(...wanted.slice(-rows).reverse().map(row));
    if (!wanted.length) byId("lookups").append(make("p", { class: "empty", text: all.length ? "There is no such lookup." : "Nothing was asked of this cache yet." }));
    byId("more").hidden = wanted.length <= rows;
  }

  function row(lookup) {
    const { outcome, similarity, cachedPrompt } = lookup;
    const found = cachedPrompt === null ? null : make("div", { class: "note text",
      text: `${outcome === "hit" ? "found" : "nearest"}: ${cachedPrompt}` });
    return make("article", {},
      make("div", { class: "meta" }, badge(outcome, OUTCOMES[outcome]),
        make("span", { text: similarity === null ? "nothing near" : exactly(similarity) }),
        make("time", { datetime: lookup.lookedUpAt, text: moment(lookup.lookedUpAt) }),
        make("span", { text: millis(lookup.millis) }),
        lookup.searchStrategy === "exact" ? make("span", { text: "exact" }) : null),
      make("div", { class: "title text", text: lookup.prompt }),
      found,
      outcome === "rejected" ? make("p", { class: "note", text: `Turned down: ${lookup.reason}.` }) : null,
      similarity === null || lookup.prompt === cachedPrompt ? null : make("div", { class: "side" }, mark(lookup, true), mark(lookup, false)));
  }

  function mark(lookup, right) {
    const isMarked = labels.get(pair(lookup)) === right;
    return make("button", {
      type: "button", class: right ? "right" : "wrong", text: right ? "Right" : "Wrong", "aria-pressed": String(isMarked),
      onclick: (event) => attempt(async () => {
        const report = { prompt: lookup.prompt, entryId: lookup.entryId };
        if (isMarked) await ask(`${cachePath()}/feedback`, report, "DELETE");
        else await ask(`${cachePath()}/feedback`, { ...report, right });
        const place = [...document.querySelectorAll("#lookups button")].indexOf(event.currentTarget ?? event.target);
        await readLabels();
        show();
        document.querySelectorAll("#lookups button")[place]?.focus();
        say(isMarked ? "The mark is removed." : `Marked as ${right ? "right" : "wrong"}.`);
      }),
    });
  }

  async function poll() {
    if (!isPaused && document.visibilityState === "visible") {
      if (await attempt(read)) {
        showCharts();
        // Do not take away a button that somebody is about to press.
        if (!byId("lookups").contains(document.activeElement)) showRows();
      }
    }
    setTimeout(poll, POLL_MILLIS);
  }

  byId("outcome").addEventListener("change", () => { rows = ROWS; showRows(); });
  byId("more").addEventListener("click", () => { rows += ROWS; showRows(); });
  byId("pause").addEventListener("click", (event) => {
    isPaused = !isPaused;
    event.currentTarget.setAttribute("aria-pressed", String(isPaused));
  });
  byId("export-lookups").addEventListener("click", () => download(`${cachePath()}/lookups/export`, "lookups.jsonl"));
  const { defaultSearchThreshold } = await ask(`${CONSOLE}/server`);
  await readLabels();
  await read();
  show();
  setTimeout(poll, POLL_MILLIS);
}

function countOutcomes(all) {
  const counts = Object.fromEntries(Object.keys(OUTCOMES).map((name) => [name, 0]));
  for (const { outcome } of all) counts[outcome] += 1;
  return counts;
}

function showTotals(all) {
  const counts = countOutcomes(all);
  const titles = { hit: "Hits", rejected: "Rejected", near_miss: "Near misses", miss: "Misses" };
  byId("lookups-lead").textContent = all.length
    ? `The latest ${counted(all.length, "lookup")} of this cache.`
    : "What is asked of this cache, as it happens.";
  byId("totals").replaceChildren(...Object.entries(titles).map(([name, title]) => make("div", { class: name },
    make("dt", { text: title }),
    make("dd", { text: `${number(counts[name])} ` }, make("small", { text: all.length ? `${Math.round(counts[name] / all.length * 100)} %` : "" })))));
}

const WIDTH = 560;
const HEIGHT = 150;
const STACK = ["hit", "rejected", "near_miss", "miss"];

/** Return stacked columns: each bin is a count by outcome. */
function columns(bins, label) {
  const most = Math.max(1, ...bins.map((bin) => STACK.reduce((sum, name) => sum + bin[name], 0)));
  const width = WIDTH / bins.length;
  return bins.flatMap((bin, index) => {
    let top = HEIGHT;
    return STACK.filter((name) => bin[name]).map((name) => {
      const height = bin[name] / most * (HEIGHT - 8);
      top -= height;
      return draw("rect", { class: name, x: index * width + 0.5, y: top, width: Math.max(1, width - 1), height },
        draw("title", { text: `${label(index)}: ${counted(bin[name], OUTCOMES[name].toLowerCase(), name.endsWith("miss") ? `${OUTCOMES[name].toLowerCase()}es` : undefined)}` }));
    });
  });
}

const emptyBins = (count) => Array.from({ length: count }, () => countOutcomes([]));
const axis = () => draw("line", { class: "axis", x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT });

function showTime(all) {
  const bins = emptyBins(40);
  const [first, last] = [all[0], all.at(-1)].map((each) => Date.parse(each?.lookedUpAt));
  const span = Math.max(1000, last - first + 1);
  for (const { lookedUpAt, outcome } of all) {
    bins[Math.min(bins.length - 1, Math.max(0, Math.floor((Date.parse(lookedUpAt) - first) / span * bins.length)))][outcome] += 1;
  }
  const at = (index) => new Date(first + index / bins.length * span).toLocaleTimeString();
  const counts = countOutcomes(all);
  byId("time-chart").replaceChildren(draw("svg", { viewBox: `0 -24 ${WIDTH} ${HEIGHT + 46}`, role: "img",
    "aria-label": `Lookups over time: ${STACK.map((name) => `${OUTCOMES[name]} ${counts[name]}`).join(", ")}` },
    ...columns(bins, at), axis(),
    ...(all.length ? [
      draw("text", { x: 0, y: HEIGHT + 17, text: at(0) }),
      draw("text", { x: WIDTH, y: HEIGHT + 17, "text-anchor": "end", text: at(bins.length) })] : [])));
}

let isDragging = false; // the threshold of the histogram, which must stay until that ends

function showHistogram(all, labels, pair, current, chosen, onChoice) {
  if (isDragging) return;
  const LOWEST = 0.5;
  const known = all.filter((each) => each.similarity !== null && each.searchStrategy === "semantic");
  const bins = emptyBins(50);
  for (const { similarity, outcome } of known) {
    bins[Math.max(0, Math.min(49, Math.floor((similarity - LOWEST) * 100 + SLACK)))][outcome] += 1;
  }
  const x = (value) => (value - LOWEST) * 2 * WIDTH;
  const handle = draw("g", { class: "threshold", role: "slider", tabindex: 0, "aria-label": "Threshold to try",
    "aria-valuemin": LOWEST, "aria-valuemax": 1 },
    draw("rect", { x: -12, y: -10, width: 24, height: HEIGHT + 20 }),
    draw("line", { y1: 0, y2: HEIGHT }), draw("circle", { cy: 0, r: 6 }), draw("text", { y: -10, "text-anchor": "middle" }));

  function move(value, isChoice = true) {
    const threshold = Math.max(LOWEST, Math.min(1, Math.round(value * 200) / 200));
    handle.setAttribute("transform", `translate(${x(threshold)} 0)`);
    handle.setAttribute("aria-valuenow", threshold);
    handle.setAttribute("aria-valuetext", exactly(threshold));
    handle.lastChild.textContent = exactly(threshold);
    handle.lastChild.setAttribute("text-anchor", threshold > 0.97 ? "end" : "middle");
    byId("what-if").textContent = whatIf(known, labels, pair, threshold);
    if (isChoice) onChoice(threshold);
  }

  const svg = draw("svg", { viewBox: `0 -24 ${WIDTH} ${HEIGHT + 46}` },
    ...columns(bins, (index) => `${(LOWEST + index / 100).toFixed(2)} to ${(LOWEST + (index + 1) / 100).toFixed(2)}`), axis(),
    ...[0.5, 0.6, 0.7, 0.8, 0.9, 1].map((value) => draw("text", { x: x(value), y: HEIGHT + 17, text: value.toFixed(1),
      "text-anchor": value === 0.5 ? "start" : value === 1 ? "end" : "middle" })),
    draw("g", { class: "threshold configured", transform: `translate(${x(current)} 0)` }, draw("line", { y1: 0, y2: HEIGHT })),
    handle);
  const drag = (event) => {
    const box = svg.getBoundingClientRect();
    move(LOWEST + (event.clientX - box.left) / box.width / 2);
  };
  handle.addEventListener("pointerdown", (event) => { isDragging = true; handle.setPointerCapture(event.pointerId); drag(event); });
  handle.addEventListener("lostpointercapture", () => { isDragging = false; });
  handle.addEventListener("pointermove", (event) => { if (handle.hasPointerCapture(event.pointerId)) drag(event); });
  handle.addEventListener("keydown", (event) => {
    const now = Number(handle.getAttribute("aria-valuenow"));
    const next = { ArrowLeft: now - 0.005, ArrowDown: now - 0.005, ArrowRight: now + 0.005, ArrowUp: now + 0.005,
      PageDown: now - 0.05, PageUp: now + 0.05, Home: LOWEST, End: 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    move(next);
  });
  const hadFocus = byId("histogram").contains(document.activeElement);
  move(chosen, false);
  byId("histogram").replaceChildren(svg);
  if (hadFocus) handle.focus();
}

/** Say what another threshold would have changed. */
function whatIf(known, labels, pair, threshold) {
  if (!known.length) return "";
  const was = known.filter((each) => each.outcome === "hit");
  const would = known.filter((each) => each.similarity >= threshold - SLACK && each.accepted !== false);
  const gained = would.filter((each) => each.outcome !== "hit");
  const lost = was.length - (would.length - gained.length);
  const unchecked = gained.filter((each) => each.accepted === null).length;
  const wrong = would.filter((each) => labels.get(pair(each)) === false).length;
  const parts = [`At ${exactly(threshold)}, ${number(would.length)} of ${counted(known.length, "lookup")} would be hits (now ${number(was.length)}): ${number(gained.length)} more, ${number(lost)} fewer.`];
  if (unchecked) parts.push(`${number(unchecked)} of them did not reach the threshold then, so nothing has checked them.`);
  if (wrong) parts.push(`${number(wrong)} ${wrong === 1 ? "is" : "are"} marked as wrong.`);
  return parts.join(" ");
}

// Entries

async function entries() {
  let cursor = null;
  let total = 0;
  const filter = () => {
    const parameters = new URLSearchParams();
    if (byId("text").value) parameters.set("text", byId("text").value);
    const [name, ...value] = byId("attribute").value.split("=");
    if (name.trim()) parameters.set(`attributes[${name.trim()}]`, value.join("=").trim());
    return parameters;
  };

  async function read(isFirst) {
    const parameters = filter();
    parameters.set("limit", ROWS);
    parameters.set("order", byId("order").value);
    if (!isFirst) parameters.set("cursor", cursor);
    const page = await attempt(() => ask(`${cachePath()}/entries?${parameters}`));
    if (!page) return;
    cursor = page.cursor;
    total = page.total;
    const shown = page.entries.map(row);
    if (isFirst) byId("entries").replaceChildren(...shown);
    else byId("entries").append(...shown);
    showCounts();
    byId("next").hidden = cursor === null;
    if (!isFirst) shown[0]?.querySelector("summary").focus();
  }

  function showCounts() {
    byId("total").textContent = `${counted(total, "entry", "entries")} in this cache.`;
    byId("no-entries").hidden = byId("entries").childElementCount > 0 || cursor !== null;
    byId("no-entries").textContent = total ? "There is no such entry." : "This cache has no entries yet.";
  }

  function row(entry) {
    const article = make("article", {},
      make("div", { class: "title text", text: entry.prompt }),
      make("div", { class: "meta" },
        make("span", { text: counted(entry.hits, "hit") }),
        entry.lastHitAt ? make("span", { text: `last ${moment(entry.lastHitAt)}` }) : null,
        make("span", { text: `stored ${moment(entry.updatedAt)}` }),
        make("span", { text: entry.ttlMillis === null ? "no TTL" : `expires in ${lasting(entry.ttlMillis)}` }),
        ...tags(entry.attributes)),
      unfolded("Response", entry.response),
      make("div", { class: "side" }, make("button", { type: "button", text: "Delete", "aria-label": `Delete ${entry.prompt}`,
        onclick: () => attempt(async () => {
          if (!confirm(`Delete this entry?\n\n${entry.prompt}`)) return;
          await ask(`${cachePath()}/entries/${encodeURIComponent(entry.id)}`, undefined, "DELETE");
          article.remove();
          total -= 1;
          showCounts();
          say("The entry is deleted.");
        }) })));
    return article;
  }

  byId("filter").addEventListener("submit", (event) => { event.preventDefault(); read(true); });
  byId("order").addEventListener("change", () => read(true));
  byId("next").addEventListener("click", () => read(false));
  byId("export").addEventListener("click", () => download(`${cachePath()}/export?${filter()}`, `${cache}.jsonl`));
  byId("import").addEventListener("change", async (event) => {
    const [file] = event.currentTarget.files;
    if (file) await attempt(() => importFile(file));
    byId("import").value = "";
    read(true);
  });
  await read(true);
}

/** Store the entries of a JSON-lines file, a few hundred at a time. */
async function importFile(file) {
  const lines = (await file.text()).split("\n");
  const problems = [];
  let stored = 0;
  let batch = [];
  let size = 0;
  async function send() {
    if (!batch.length) return;
    const result = await ask(`${cachePath()}/entries`, { entries: batch.map(({ entry }) => entry) });
    stored += result.stored;
    for (const { index, field, message } of result.errors) problems.push(`line ${batch[index].line}: ${field}: ${message}`);
    [batch, size] = [[], 0];
  }
  for (const [index, text] of lines.entries()) {
    if (!text.trim()) continue;
    let row;
    try { row = JSON.parse(text); } catch { row = null; }
    if (row === null || typeof row !== "object") {
      problems.push(`line ${index + 1}: must be a JSON object`);
      continue;
    }
    const entry = { prompt: row.prompt, response: row.response };
    if (row.attributes) entry.attributes = row.attributes;
    if (row.ttlMillis) entry.ttlMillis = row.ttlMillis;
    batch.push({ entry, line: index + 1 });
    size += 3 * text.length;
    if (batch.length === 100 || size > 500_000) {
      await send();
      byId("transfer").textContent = `Stored ${number(stored)}; ${Math.round((index + 1) / lines.length * 100)} % …`;
    }
  }
  await send();
  byId("transfer").textContent = `Stored ${counted(stored, "entry", "entries")}. `
    + (problems.length ? `${counted(problems.length, "line")} left out, the first: ${problems[0]}` : "");
}

// Server

async function server() {
  const about = await ask(`${CONSOLE}/server`);
  facts(byId("server"), [
    ["Version", about.version],
    ["Mode", about.strict ? "strict: declared caches, keys with grants" : "development"],
    ["Storage", about.storage],
    ["Processes", number(about.workers)],
    ["Embedding model", `${about.embeddingModel}, ${about.embeddingDimensions} dimensions`],
    ["Verifier", about.verify],
    ["Threshold", exactly(about.defaultSearchThreshold)],
  ]);
  facts(byId("limits"), [
    ["Request body", `${number(about.maxBodyBytes)} bytes`],
    ["Requests at once", number(about.maxConcurrency)],
    ["Kept lookups", number(about.recordedLookups)],
    ["Limits of the API", about.relaxedLimits.length ? `relaxed: ${about.relaxedLimits.join(", ")}` : "as published"],
  ]);
  if (!about.testControls) return;
  const [clock, { faults }] = await Promise.all([
    fetch("/_mock/v1/clock").then((answer) => (answer.ok ? answer.json() : null)),
    fetch("/_mock/v1/faults").then((answer) => (answer.ok ? answer.json() : { faults: [] })),
  ]);
  if (clock) facts(byId("clock"), [["Clock", new Date(clock.now * 1000).toLocaleString()], ["Runs", clock.frozen ? "no, it is frozen" : "yes"]]);
  byId("faults").replaceChildren(...(faults.length
    ? faults.map((fault) => make("p", { class: "text", text: Object.entries(fault).filter(([, value]) => value !== null && value !== false)
      .map(([name, value]) => `${name}: ${value}`).join(" · ") }))
    : [make("p", { class: "empty", text: "No faults are injected." })]));
  byId("controls").hidden = false;
}

// Savings

const PRICES = [["Small model", 0.15, 0.6], ["Medium model", 2.5, 10], ["Large model", 5, 25]];
const STORED_PRICES = "langcache prices";

function storedPrices() {
  try {
    const { rows, chosen } = JSON.parse(localStorage.getItem(STORED_PRICES));
    if (rows.length && rows.every((row) => row.length === 3)) return { rows, chosen };
  } catch { /* there are none, or they are none of ours */ }
  return { rows: PRICES.map((row) => [...row]), chosen: 1 };
}

async function savings() {
  const { recorded, caches } = await ask(`${CONSOLE}/savings`);
  byId("savings-off").hidden = recorded > 0;
  byId("savings").hidden = recorded === 0;
  const prices = storedPrices();
  const measured = caches.filter((each) => each.answerSeconds !== null).map((each) => each.answerSeconds);
  byId("seconds").value = measured.length ? (measured.reduce((sum, each) => sum + each, 0) / measured.length).toFixed(2) : "";
  byId("seconds-hint").textContent = measured.length
    ? "Measured: the median time from a lookup that was no hit until its response was stored. Type another time to try it."
    : "Not measured yet: no response was stored after a lookup that was no hit. Type the time that your model takes.";
  const dollars = (amount) => (amount < 1 ? `$${amount.toFixed(4)}` : amount.toLocaleString("en", { style: "currency", currency: "USD" }));
  const range = (durations) => (durations === null ? "–" : `${millis(durations.p50)} / ${millis(durations.p99)}`);

  function show() {
    const [, input, output] = prices.rows[prices.chosen] ?? ["", 0, 0];
    const seconds = Number(byId("seconds").value);
    const money = (each) => (each.promptTokens * input + each.responseTokens * output) / 1e6;
    const time = (each) => each.hits * Math.max(0, seconds - (each.hitMillis?.p50 ?? 0) / 1000);
    const sum = (value) => caches.reduce((total, each) => total + value(each), 0);
    const inWords = (amount) => (!byId("seconds").value ? "–" : amount < 60 ? `${amount.toFixed(1)} s` : lasting(amount * 1000));
    const lookupCount = sum((each) => each.lookups);
    byId("saved").replaceChildren(...[
      ["Hits", `${number(sum((each) => each.hits))} `, `of ${counted(lookupCount, "lookup")}`],
      ["Tokens", number(sum((each) => each.promptTokens + each.responseTokens)), ""],
      ["Money", dollars(sum(money)), ""],
      ["Time", inWords(sum(time)), ""],
    ].map(([title, value, small]) => make("div", { class: "hit" }, make("dt", { text: title }), make("dd", { text: value }, make("small", { text: small })))));
    byId("by-cache").replaceChildren(...caches.map((each) => make("tr", {}, ...[
      each.cacheId, `${number(each.hits)} of ${number(each.lookups)}`, number(each.promptTokens), number(each.responseTokens),
      dollars(money(each)), inWords(time(each)), range(each.hitMillis), range(each.missMillis),
    ].map((text) => make("td", { text })))));
  }

  function change() {
    localStorage.setItem(STORED_PRICES, JSON.stringify(prices));
    show();
  }

  function showPrices() {
    byId("prices").replaceChildren(...prices.rows.map((row, index) => make("tr", {},
      make("td", {},
        fill(make("input", { type: "radio", name: "model", "aria-label": `Use the prices of ${row[0]}`, onchange: () => { prices.chosen = index; change(); } }),
          { checked: index === prices.chosen }, []),
        make("input", { value: row[0], "aria-label": "Name of the model", maxlength: 60, onchange: (event) => { row[0] = event.target.value; change(); showPrices(); } })),
      ...[1, 2].map((place) => make("td", {}, make("input", { type: "number", min: 0, step: "any", inputmode: "decimal", value: row[place],
        "aria-label": `${place === 1 ? "Input" : "Output"} price of ${row[0]}`,
        oninput: (event) => { row[place] = Number(event.target.value); change(); } }))),
      make("td", {}, prices.rows.length > 1 ? make("button", { type: "button", text: "×", "aria-label": `Remove ${row[0]}`, onclick: () => {
        prices.rows.splice(index, 1);
        prices.chosen = Math.min(prices.chosen, prices.rows.length - 1);
        change();
        showPrices();
      } }) : ""))));
  }

  byId("seconds").addEventListener("input", show);
  byId("add-price").addEventListener("click", () => {
    prices.rows.push(["Model", 0, 0]);
    change();
    showPrices();
    byId("prices").lastChild.querySelectorAll("input")[1].select();
  });
  show();
  showPrices();
}

const tabs = { playground, lookups, entries, savings, server };
document.querySelector("nav [aria-current]").scrollIntoView({ block: "nearest", inline: "nearest" });
await attempt(chooseCache);
await attempt(tabs[document.body.dataset.tab]);
document.body.dataset.ready = "true";
