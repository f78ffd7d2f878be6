// What each page must fulfil, looked at in the page itself: returns the faults, each as one line. The
// numbers are those of WCAG 2.2 AA. A fault begins with its rule's name, by which a test finds it.
(phone) => {
  const faults = [];
  const fault = (rule, what, element) => faults.push(`${rule}: ${what}${element ? ` at ${named(element)}` : ""}`);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const named = (e) => {
    const text = (e.innerText || e.value || "").trim().replace(/\s+/g, " ").slice(0, 40);
    return `<${e.localName}${e.id ? ` id="${e.id}"` : ""}${e.className && e.className.baseVal === undefined ? ` class="${e.className}"` : ""}>${text ? ` "${text}"` : ""}`;
  };
  const seen = (e) => {
    if (!e.checkVisibility({visibilityProperty: true, opacityProperty: true, contentVisibilityAuto: true})) return false;
    const r = e.getBoundingClientRect();
    return r.width > 1 && r.height > 1; // what is for screen readers only is one pixel
  };

  // The document.
  if (!/^[a-z]{2}(-|$)/.test(document.documentElement.lang)) fault("lang", "the page has no language");
  if (!document.title.trim()) fault("title", "the page has no title");
  const zoom = document.querySelector("meta[name=viewport]")?.content ?? "";
  if (!/width=device-width/.test(zoom)) fault("viewport", "no meta viewport with width=device-width");
  if (/user-scalable=no|maximum-scale/.test(zoom)) fault("viewport", "a person may not zoom");

  // Headings, landmarks.
  const h1 = all("h1").filter(seen);
  if (h1.length !== 1) fault("h1", `${h1.length} headings of the first level`);
  let level = 0;
  for (const h of all("h1, h2, h3, h4, h5, h6").filter((h) => h.checkVisibility())) {
    const n = Number(h.localName[1]);
    if (n > level + 1) fault("heading", `a level is left out before h${n}`, h);
    level = n;
  }
  if (all("main").length !== 1) fault("landmark", `${all("main").length} main`);
  if (!document.querySelector("body > header, [role=banner]")) fault("landmark", "no header");
  const navs = all("nav");
  for (const nav of navs) if (navs.length > 1 && !nav.ariaLabel && !nav.getAttribute("aria-labelledby")) fault("landmark", "one of several nav has no label", nav);
  if (navs.length > 0) {
    const first = document.querySelector("a[href], button, input, select, textarea, summary");
    const target = first?.getAttribute("href") ?? "";
    if (!target.startsWith("#") || !document.getElementById(target.slice(1))) fault("skip", "the first link does not lead to the content", first);
  }
  for (const control of all("h1, form, table, button, input:not([type=hidden])")) {
    if (!control.closest("main, header, footer, nav, [role=dialog]")) fault("landmark", "outside of all landmarks", control);
  }

  // Ids, and what refers to them.
  const ids = new Map();
  for (const e of all("[id]")) ids.set(e.id, (ids.get(e.id) ?? 0) + 1);
  for (const [id, n] of ids) if (n > 1) fault("id", `${n} elements have the id ${id}`);
  for (const attribute of ["aria-describedby", "aria-labelledby", "aria-controls", "aria-owns", "aria-errormessage", "aria-details", "for", "form", "list", "headers"]) {
    for (const e of all(`[${attribute}]`)) {
      for (const id of e.getAttribute(attribute).split(/\s+/)) if (!ids.has(id)) fault("reference", `${attribute}="${id}" is not on the page`, e);
    }
  }
  for (const a of all("a[href^='#']")) if (!ids.has(a.getAttribute("href").slice(1))) fault("reference", `${a.getAttribute("href")} is not on the page`, a);
  for (const e of all("[aria-invalid=true]")) if (!e.getAttribute("aria-describedby") && !e.getAttribute("aria-errormessage")) fault("reference", "an invalid field does not say why", e);

  // Images, tables.
  for (const img of all("img:not([alt])")) fault("image", "no text instead of an image", img);
  for (const svg of all("svg").filter(seen)) {
    if (!svg.closest("[aria-hidden=true]") && !(svg.getAttribute("role") === "img" && (svg.ariaLabel || svg.getAttribute("aria-labelledby")))) fault("image", "neither hidden from screen readers nor an image with a name", svg);
  }
  for (const table of all("table")) {
    if (!table.querySelector("th")) fault("table", "no heading cells", table);
    for (const th of all("thead th", table)) if (!th.scope) fault("table", "a heading cell without scope", th);
  }
  for (const e of all("button button, button a, a button, a a, label a, summary button, summary a, summary input")) fault("nesting", "a control within another", e);

  // Code and style belong into files.
  for (const e of all("[style], style, script:not([src])")) fault("inline", "inline style or script", e);
  for (const e of all("*")) for (const name of e.getAttributeNames()) {
    if (/^on/i.test(name)) fault("inline", `${name} is an inline script`, e);
    if (/^(href|src|action|formaction)$/.test(name) && /^\s*(javascript|data|vbscript):/i.test(e.getAttribute(name))) fault("inline", `${name} is a script`, e);
  }

  // Nothing scrolls sideways.
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    const wide = all("body *").filter((e) => seen(e) && e.getBoundingClientRect().right > root.clientWidth + 1);
    fault("sideways", `the page is ${root.scrollWidth} px wide in ${root.clientWidth} px`, wide[wide.length - 1]);
  }

  // Colours, as a person sees them: each with its alpha over what is behind it.
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const parsed = new Map();
  const colour = (text) => {
    if (!parsed.has(text)) {
      const numbers = text.match(/^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)$/);
      if (numbers) {
        parsed.set(text, [numbers[1], numbers[2], numbers[3], numbers[4] ?? 1].map(Number));
      } else { // oklch() and the like
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = text;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
        parsed.set(text, [r, g, b, a / 255]);
      }
    }
    return parsed.get(text);
  };
  const over = ([r, g, b, a], [br, bg, bb]) => [r * a + br * (1 - a), g * a + bg * (1 - a), b * a + bb * (1 - a), 1];
  const luminance = (c) => {
    const [r, g, b] = c.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (light + 0.05) / (dark + 0.05);
  };
  const styles = new Map();
  const style = (e) => styles.get(e) ?? (styles.set(e, getComputedStyle(e)), styles.get(e));
  const dark = matchMedia("(prefers-color-scheme: dark)").matches && /dark/.test(style(root).colorScheme);
  const paper = dark ? [18, 18, 18, 1] : [255, 255, 255, 1];
  const grounds = new Map();
  // What is behind the content of an element. An image makes it unknown.
  const ground = (e) => {
    if (!e) return {colour: paper};
    if (!grounds.has(e)) {
      const behind = ground(e.parentElement);
      grounds.set(e, {colour: over(colour(style(e).backgroundColor), behind.colour), image: behind.image || style(e).backgroundImage !== "none"});
    }
    return grounds.get(e);
  };
  const opacity = (e) => (e ? Number(style(e).opacity) * opacity(e.parentElement) : 1);
  const hex = (c) => "#" + c.slice(0, 3).map((v) => Math.round(v).toString(16).padStart(2, "0")).join("");
  const inactive = (e) => e.closest(":disabled, [aria-disabled=true]"); // WCAG asks for no contrast there
  const readable = (e, text, ink, size, weight) => {
    const behind = ground(e);
    if (behind.image) return fault("contrast", "text on an image", e);
    const [r, g, b, a] = colour(ink);
    const shown = over([r, g, b, a * opacity(e)], behind.colour);
    const least = size >= 24 || (size >= 18.66 && weight >= 700) ? 3 : 4.5;
    const got = contrast(shown, behind.colour);
    if (got < least) fault("contrast", `${got.toFixed(2)} of ${least}: ${hex(shown)} on ${hex(behind.colour)} for "${text.slice(0, 30)}"`, e);
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const told = new Set();
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const e = node.parentElement, text = node.data.trim();
    if (!text || /^(script|style|noscript|title|option|optgroup)$/.test(e.localName) || !seen(e) || inactive(e)) continue;
    const s = style(e), ink = e.namespaceURI.endsWith("svg") ? s.fill : s.color;
    const key = `${ink} ${s.fontSize} ${s.fontWeight} ${hex(ground(e).colour)} ${ground(e).image} ${opacity(e)}`;
    if (told.has(key)) continue; // once each
    told.add(key);
    readable(e, text, ink, parseFloat(s.fontSize), Number(s.fontWeight));
  }
  for (const e of all("input:not([type=hidden], [type=checkbox], [type=radio]), textarea, select").filter((e) => seen(e) && !inactive(e))) {
    const s = style(e);
    readable(e, "what is typed", s.color, parseFloat(s.fontSize), Number(s.fontWeight));
    if (e.placeholder && !e.value) readable(e, e.placeholder, getComputedStyle(e, "::placeholder").color, parseFloat(s.fontSize), 400);
  }

  // Where a control is: its border or its area differs from what is around it. A button of text alone is text.
  for (const e of all("input:not([type=hidden]), textarea, select, button").filter((e) => seen(e) && !inactive(e))) {
    const s = style(e);
    if (/checkbox|radio/.test(e.type) && s.appearance !== "none") continue; // the browser's own
    const around = ground(e.parentElement).colour;
    const edge = parseFloat(s.borderTopWidth) > 0 && s.borderTopStyle !== "none" ? contrast(over(colour(s.borderTopColor), around), around) : 1;
    const area = contrast(ground(e).colour, around);
    const bare = e.localName === "button" && edge === 1 && area === 1;
    if (!bare && Math.max(edge, area) < 3) fault("edge", `${Math.max(edge, area).toFixed(2)} of 3 around a control`, e);
  }

  // The focus: a ring that is seen, in the order of the page. Focus that a script sets after a key shows the ring.
  for (const e of all("[tabindex]")) if (e.tabIndex > 0) fault("order", "a positive tabindex", e);
  const before = document.activeElement;
  // A link that stretches over its row has its ring on the part that stretches.
  const parts = (e) => [null, "::before", "::after"].map((part) => getComputedStyle(e, part));
  const outlined = (s) => s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0;
  const looks = (e) => parts(e).map((s) => [outlined(s) ? `${s.outlineStyle} ${s.outlineWidth} ${s.outlineColor}` : "",
    s.boxShadow, s.borderColor, s.backgroundColor, s.textDecoration].join("|")).join("||");
  for (const e of all("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']").filter((e) => seen(e) && !e.disabled)) {
    e.blur();
    const without = looks(e);
    e.focus({preventScroll: true});
    if (document.activeElement !== e) fault("focus", "cannot have the focus", e);
    else if (looks(e) === without) fault("focus", "looks the same with the focus", e);
    else {
      const ring = parts(e).find(outlined);
      const around = ground(e.parentElement).colour;
      if (ring && ring.outlineStyle !== "auto" && contrast(over(colour(ring.outlineColor), around), around) < 3) fault("focus", "the ring has a contrast below 3", e);
    }
  }
  document.activeElement?.blur();
  before?.focus?.({preventScroll: true});

  // What is pressed is large enough: 24 px, on a phone 44 px. A link within a sentence is as large as its text.
  const least = phone ? 44 : 24;
  const inSentence = (e) => style(e).display === "inline" && [...e.parentElement.childNodes].some((n) => n.nodeType === 3 && /\w/.test(n.data));
  for (const e of all("a[href], button, input:not([type=hidden]), select, textarea, summary").filter(seen)) {
    if (e.localName === "a" && inSentence(e)) continue;
    if (phone && e.localName === "a" && !e.closest("nav") && !e.classList.contains("button")) continue; // 24 px, as everywhere
    const size = [e, ...(e.labels ?? [])].map((part) => part.getBoundingClientRect()).reduce((a, r) => ({width: Math.max(a.width, r.width), height: Math.max(a.height, r.height)}), {width: 0, height: 0});
    // Half a pixel is the rounding of a layout.
    if (Math.min(size.width, size.height) < least - 0.5) fault("target", `${size.width.toFixed(0)} × ${size.height.toFixed(0)} px of ${least}`, e);
  }
  if (phone) for (const e of all("a[href]").filter((e) => seen(e) && !inSentence(e) && !e.closest("nav") && !e.classList.contains("button"))) {
    const r = e.getBoundingClientRect();
    if (Math.min(r.width, r.height) < 23.5) fault("target", `${r.width.toFixed(0)} × ${r.height.toFixed(0)} px of 24`, e);
  }
  return faults;
}
