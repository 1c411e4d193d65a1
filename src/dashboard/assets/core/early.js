// What the first view needs is asked for before the page's own modules have come: its modules, and its data when somebody is
// signed in. A plain script within the page, not a module, so that it runs first. What is asked here must be what the view asks,
// to the letter: else it is asked twice.
(() => {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  const names = path.split("/").filter(Boolean);
  const query = new URLSearchParams(search);
  const views = JSON.parse(document.getElementById("views").textContent);
  const holder = remembered();

  const OF_ALL = ["overview", "actors", "customers", "unreadable"]; // not for a customer's key
  const known = Object.hasOwn(views, names[0] ?? "") && names[0] !== "endpoint" ? names[0] : "overview";
  const place = holder.role === "customer" && OF_ALL.includes(known) ? "endpoints" : known;
  const view = place === "endpoints" && names.length > 1 ? "endpoint" : place;

  const root = "assets/{{version}}/";
  for (const module of views[view]) {
    document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href: root + module }));
  }

  const asked = new Map();
  const TIMEOUT_MS = 20_000;
  window.postriderEarly = {
    view,
    // The answer and its text, once, to whoever has the same key.
    take(url, key) {
      const answer = key === holder.key ? asked.get(url) : undefined;
      asked.delete(url);
      return answer;
    },
  };
  setTimeout(() => asked.clear(), TIMEOUT_MS); // by then it is no news
  if (typeof holder.key === "string") ask("api-keys/current");
  if (typeof holder.key === "string" && holder.role) {
    if (view === "overview") ask("overview");
    if (view === "endpoints" && !query.has("new")) ask("endpoints", { q: query.get("q"), state: query.get("state"), customer_id: query.get("customer"), sort: query.get("sort"), include: "health,customer", limit: 50 });
    if (view === "endpoint") ask(`endpoints/${names[1]}`);
    if (view === "endpoint") ask(`endpoints/${names[1]}/stats`);
  }

  function ask(path, query = {}) {
    const url = new URL(`v1/${path}`, document.baseURI);
    for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
    const got = read(url);
    got.catch(() => {}); // whoever takes it is told
    asked.set(url.href, got);
  }

  async function read(url) {
    const answer = await fetch(url, { headers: { authorization: `Bearer ${holder.key}` }, signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store", credentials: "omit" });
    return { answer, text: await answer.text() };
  }

  function remembered() {
    try {
      return JSON.parse(sessionStorage.getItem("postrider.key")) ?? {};
    } catch {
      return {}; // storage is turned off, or holds what is not ours
    }
  }
})();
