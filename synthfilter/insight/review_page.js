"use strict";
// Everything of the sample reaches the page as text, never as HTML: the policy of the
// page refuses both scripts and HTML from strings.
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const documents = data.documents;
  const verdicts = ["human", "synthetic", "reject", "unsure"];
  const keys = { h: "human", s: "synthetic", r: "reject", u: "unsure" };
  const place = `synthfilter-review:${data.build_id}:${data.sample}`;

  let reviewer = "";
  // By content hash: verdict, time and note; either may be missing.
  let said = {};
  let at = 0;
  let undoable = [];
  let unsaved = false;

  // What the browser keeps.

  function read(key) {
    try {
      return JSON.parse(localStorage.getItem(key)) || {};
    } catch {
      return {};
    }
  }

  function write(key, value) {
    try {
      localStorage.setItem(key, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  }

  function mine() {
    return `${place}:${reviewer}`;
  }

  function save() {
    const kept = write(mine(), { at, said });
    unsaved = !kept;
    byId("warning").hidden = kept;
  }

  function take(name) {
    reviewer = name;
    const kept = read(mine());
    said = kept.said || {};
    at = Math.min(kept.at || 0, documents.length - 1);
    undoable = [];
    write(place, { reviewer });
    byId("reviewer").textContent = name;
    show(at);
    say("");
  }

  // What is on the screen.

  function say(line) {
    byId("said").textContent = line;
  }

  function entry(index) {
    return said[documents[index].content_hash] || {};
  }

  function judged() {
    return documents.reduce((sum, _, i) => sum + (entry(i).verdict ? 1 : 0), 0);
  }

  function refresh() {
    const now = entry(at);
    const done = judged();
    byId("count").textContent =
      `${at + 1} of ${documents.length}, ${done} judged`;
    byId("progress").value = done;
    for (const verdict of verdicts) {
      byId(verdict).setAttribute("aria-pressed", String(now.verdict === verdict));
    }
    byId("previous").disabled = at === 0;
    byId("next").disabled = at === documents.length - 1;
    byId("facts-button").hidden = !now.verdict;
    if (!now.verdict) showFacts(false);
    byId("undo").disabled = !undoable.length;
    byId("download").disabled = !done;
  }

  function show(index) {
    at = index;
    byId("text").textContent = documents[at].text;
    byId("note").value = entry(at).note || "";
    showFacts(false);
    refresh();
    window.scrollTo(0, 0);
    byId("text").scrollTop = 0;
  }

  // What the build knew is not even in the page's elements before the verdict.
  function showFacts(open) {
    const list = byId("facts");
    list.replaceChildren();
    list.hidden = !open;
    byId("facts-button").setAttribute("aria-expanded", String(open));
    byId("facts-name").textContent = open ? "Hide what the build knew"
      : "Show what the build knew";
    if (!open) return;
    for (const [name, value] of documents[at].facts) {
      const term = document.createElement("dt");
      const told = document.createElement("dd");
      term.textContent = name;
      told.textContent = value;
      told.dir = "auto";
      list.append(term, told);
    }
  }

  // What a reviewer does.

  function change(index, values) {
    const hash = documents[index].content_hash;
    undoable.push({ index, before: { ...entry(index) } });
    said[hash] = { ...entry(index), ...values };
  }

  function judge(verdict) {
    change(at, { verdict, time: new Date().toISOString() });
    let next = -1;
    for (let step = 1; step < documents.length && next < 0; step += 1) {
      const index = (at + step) % documents.length;
      if (!entry(index).verdict) next = index;
    }
    const line = `Document ${at + 1}: ${verdict}.`;
    if (next < 0) {
      refresh();
      say(`${line} All ${documents.length} are judged: download the verdicts.`);
    } else if (byId("onward").checked) {
      show(next);
      say(`${line} z takes it back.`);
    } else {
      refresh();
      say(line);
    }
    save();
  }

  function undo() {
    const last = undoable.pop();
    if (!last) {
      say("Nothing to take back.");
      return;
    }
    // What was noted since stays.
    const { note } = entry(last.index);
    said[documents[last.index].content_hash] = { ...last.before, note };
    show(last.index);
    say(`Document ${last.index + 1}: taken back.`);
    save();
  }

  function move(step) {
    const index = at + step;
    if (index < 0 || index >= documents.length) return;
    show(index);
    say("");
    save();
  }

  function toggleFacts() {
    if (entry(at).verdict) showFacts(byId("facts").hidden);
  }

  function keepNote() {
    const note = byId("note").value;
    if (note === (entry(at).note || "")) return;
    // A verdict with another note is a later word of the reviewer.
    const time = entry(at).verdict ? { time: new Date().toISOString() } : {};
    said[documents[at].content_hash] = { ...entry(at), note, ...time };
    save();
  }

  function download() {
    const rows = [];
    documents.forEach((one, index) => {
      const { verdict, time, note } = entry(index);
      if (!verdict) return;
      rows.push({ ...one.about, verdict, reviewer, time, note: note || null });
    });
    const made = { format: data.format, version: 1, build_id: data.build_id,
      sample: data.sample, reviewer, verdicts: rows };
    const blob = new Blob([`${JSON.stringify(made, null, 1)}\n`],
      { type: "application/json" });
    const link = document.createElement("a");
    const name = reviewer.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 40);
    link.href = URL.createObjectURL(blob);
    link.download = `verdicts-${data.focus}-${data.sample.slice(0, 8)}-${name}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    unsaved = false;
    say(`${rows.length} verdicts downloaded; next: synthfilter review import.`);
  }

  function askWho() {
    byId("name").value = reviewer;
    byId("who").showModal();
    byId("name").select();
  }

  // Wiring.

  for (const verdict of verdicts) {
    byId(verdict).addEventListener("click", () => judge(verdict));
  }
  const clicks = { previous: () => move(-1), next: () => move(1), undo, download,
    "facts-button": toggleFacts, reviewer: askWho,
    "help-button": () => byId("help").showModal(),
    "help-close": () => byId("help").close() };
  for (const [id, act] of Object.entries(clicks)) {
    byId(id).addEventListener("click", act);
  }
  byId("note").addEventListener("input", keepNote);
  byId("note").addEventListener("keydown", (event) => {
    if (event.key === "Escape" || (event.key === "Enter" && event.ctrlKey)) {
      byId("note").blur();
    }
  });
  byId("who-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = byId("name").value.trim();
    if (!name) return;
    // The field would keep the next keys until the window is drawn again.
    byId("name").blur();
    byId("who").close();
    if (name !== reviewer) take(name);
  });
  byId("who").addEventListener("cancel", (event) => {
    if (!reviewer) event.preventDefault();
  });

  const acts = { arrowright: () => move(1), j: () => move(1),
    arrowleft: () => move(-1), k: () => move(-1), z: undo, b: toggleFacts,
    d: () => { if (!byId("download").disabled) download(); },
    n: () => byId("note").focus(), "?": () => byId("help").showModal() };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("textarea, input[type=text], dialog[open]");
    if (typing || event.ctrlKey || event.altKey || event.metaKey || event.repeat
      && event.key.toLowerCase() in keys) return;
    const key = event.key.toLowerCase();
    if (key in keys) judge(keys[key]);
    else if (key in acts) acts[key]();
    else return;
    event.preventDefault();
  });
  // Another tab with the same page and reviewer: its word is the later one.
  window.addEventListener("storage", (event) => {
    if (event.key !== mine()) return;
    said = read(mine()).said || {};
    undoable = [];
    byId("note").value = entry(at).note || "";
    refresh();
  });
  window.addEventListener("beforeunload", (event) => {
    if (unsaved) event.preventDefault();
  });

  byId("progress").max = documents.length;
  byId("build").textContent = data.build_id;
  const known = data.reviewer || read(place).reviewer || "";
  if (known) {
    take(known);
  } else {
    show(0);
    askWho();
  }
})();
