// What a person would miss without script; all pages work without it. No inline code, no HTML from text.

// Times: "3 minutes ago" stays true while the page is open.
const units = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const length = (seconds) => {
  for (const [name, size] of units) {
    const n = Math.floor(seconds / size);
    if (n > 0) return `${n} ${name}${n === 1 ? "" : "s"}`;
  }
  return "0 seconds";
};
const refreshTimes = () => {
  for (const time of document.querySelectorAll("time[title]")) {
    const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
    const text = seconds < -5 ? `in ${length(-seconds)}` : seconds < 5 ? "just now" : `${length(seconds)} ago`;
    if (time.textContent !== text) time.textContent = text;
  }
};
setInterval(refreshTimes, 10000);

// Copy buttons: <button type="button" hidden data-copy="id of what is copied">.
for (const button of document.querySelectorAll("button[data-copy]")) {
  const label = button.textContent;
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    await navigator.clipboard.writeText(source.dataset.text ?? source.value ?? source.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}

// A form with data-unsaved says what has changed, and warns before it is left.
for (const form of document.querySelectorAll("form[data-unsaved]")) {
  const note = form.querySelector("[data-changes]");
  const changed = (field) => {
    if (field.type === "hidden" || !field.name) return false;
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    if (field.tagName === "SELECT") return [...field.options].some((o) => o.selected !== o.defaultSelected);
    return field.value !== field.defaultValue;
  };
  let leaving = false;
  // The groups with a change, by their legends; the server marks those that it has refused to save.
  const changes = () => [...form.querySelectorAll("fieldset")]
    .filter((group) => "changed" in group.dataset || [...group.elements].some((field) => field.form === form && changed(field)))
    .map((group) => group.querySelector("legend").textContent);
  const show = () => {
    const names = changes();
    if (note) note.textContent = names.length === 0 ? note.dataset.changes : `Not saved yet: ${names.join(", ")}`;
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", () => { leaving = true; });
  addEventListener("beforeunload", (event) => { if (!leaving && changes().length > 0) event.preventDefault(); });
  show();
}

// The list of deliveries: newer ones wait behind a button, rows never jump.
const fresh = document.querySelector("[data-new]");
if (fresh) {
  const button = fresh.querySelector("a");
  const look = async () => {
    if (document.hidden) return;
    const answer = await fetch(fresh.dataset.new).catch(() => null);
    if (!answer?.ok || answer.redirected) return;
    const { count, more } = await answer.json();
    const text = `${count}${more ? "+" : ""} new ${count === 1 ? "delivery" : "deliveries"}`;
    if (count > 0 && button.textContent !== text) button.textContent = text;
    button.hidden = count === 0;
  };
  setInterval(look, 5000);
  document.addEventListener("visibilitychange", look);
}

// The settings: what a worker finds out about a URL that was just saved appears beside it.
if (document.querySelector("[data-look=waits]")) {
  let tries = 20;
  const timer = setInterval(() => {
    if (document.hidden) return;
    const page = new XMLHttpRequest();
    page.responseType = "document";
    page.open("GET", location.pathname);
    page.addEventListener("load", () => {
      for (const waits of document.querySelectorAll("[data-look=waits]")) {
        const now = page.response?.getElementById(waits.id);
        if (now?.dataset.look === "known") waits.replaceWith(document.adoptNode(now));
      }
      tries -= 1;
      if (tries === 0 || !document.querySelector("[data-look=waits]")) clearInterval(timer);
    });
    page.send();
  }, 2000);
}

// The resend of many: the button says how many there are with the box as it is now.
const include = document.querySelector("[data-count]");
include?.addEventListener("change", async () => {
  const button = document.getElementById("resend");
  const wanted = include.checked;
  const fields = new URLSearchParams(new FormData(include.form));
  const answer = await fetch(`${include.dataset.count}?${fields}`, { redirect: "error" }).catch(() => null);
  if (!answer?.ok || include.checked !== wanted) return;
  const now = await answer.json();
  button.textContent = now.button;
  button.disabled = now.none;
  include.form.elements.counted.value = now.counted;
});

// A page that is loaded again while something waits: the focus stays where it was.
const focusKey = `focus ${location.pathname}`;
addEventListener("pagehide", () => sessionStorage.setItem(focusKey, document.activeElement?.id ?? ""));
const focused = document.getElementById(sessionStorage.getItem(focusKey) ?? "");
if (focused && performance.getEntriesByType("navigation")[0]?.type === "reload") focused.focus({ preventScroll: true });
// The overview: its figures are those of now while it is looked at. What would move waits for the reader.
for (const live of document.querySelectorAll("[data-live]")) {
  const show = async () => {
    if (document.hidden) return;
    const answer = await fetch(live.dataset.live, { redirect: "error" }).catch(() => null);
    if (!answer?.ok) return;
    const now = await answer.json();
    for (const each of live.querySelectorAll("[data-figure]")) {
      const text = now.texts[each.dataset.figure];
      if (text !== undefined && each.textContent !== text) each.textContent = text;
    }
    for (const time of live.querySelectorAll("[data-instant]")) {
      const { at, exact } = now.instants[time.dataset.instant] ?? {};
      if (at) { time.dateTime = at; time.title = exact; }
      if (time.parentElement.matches(".more")) time.parentElement.hidden = !at;
    }
    live.querySelector("[data-changed]").hidden = now.version === live.dataset.version;
    refreshTimes();
  };
  setInterval(show, 10000);
  document.addEventListener("visibilitychange", show);
}
