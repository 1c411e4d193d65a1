// The frame around every view: who is signed in, where one can go, and which view is shown.
import { AwayNotice, ProblemNotice } from "./parts/notice.js";
import { Announcement } from "./parts/announce.js";
import { Horn, ThemeIcon } from "./parts/icons.js";
import { Leaving } from "./parts/leaving.js";
import { zone } from "./parts/time.js";
import { path } from "./core/api.js";
import { identifyOnce } from "./core/identify.js";
import { useLive } from "./core/live.js";
import { route, to } from "./core/route.js";
import { end, seesAll, session } from "./core/session.js";
import { useStore } from "./core/store.js";
import { leave } from "./core/unsaved.js";
import { fetchOthers, fetchView, useView } from "./core/views.js";
import { html, render, useEffect, useRef, useState } from "./core/ui.js";
import { SignIn } from "./views/sign_in.js";

// `all`: not for a customer's key.
const PLACES = [
  { name: "overview", title: "Overview", view: "Overview", all: true },
  { name: "endpoints", title: "Endpoints", view: "Endpoints", one: "Endpoint" },
  { name: "subscriptions", title: "Subscriptions", view: "Subscriptions" },
  { name: "replays", title: "Replays", view: "Replays" },
  { name: "actors", title: "Actors", view: "Actors", all: true },
  { name: "customers", title: "Customers", view: "Customers", all: true },
  { name: "unreadable", title: "Unreadable", view: "Unreadable", all: true },
];


function App() {
  const who = useStore(session);
  const [problem, setProblem] = useState(null);
  useEffect(() => {
    if (who.key === null) return;
    setProblem(null);
    identifyOnce(who.key).catch(setProblem);
  }, [who.key]);
  if (who.key === null) return html`<${SignIn} notice=${who.notice} />`;
  if (who.role === null) {
    return html`<main class="alone">
      ${problem
        ? html`<${ProblemNotice} problem=${problem}><button onClick=${() => end()}>Sign in again</button><//>`
        : html`<p class="empty">Signing in …</p>`}
    </main>`;
  }
  return html`<${Frame} who=${who} /><${Leaving} />`;
}

function Frame({ who }) {
  const { names, query } = useStore(route);
  const places = PLACES.filter((place) => !place.all || seesAll(who));
  const place = places.find(({ name }) => name === names[0]) ?? places[0];
  const one = names[0] === place.name && names.length > 1 ? place.one : null;
  const { View, failed, again } = useView(one ?? place.view);
  const shown = View !== null;
  const main = useRef(null);
  const where = one ? `${place.name}/${names[1]}` : `${place.name}${query.new ? "/new" : ""}`;
  const first = useRef(true);
  useEffect(() => {
    document.title = `${one ? names[1] : place.title} · Postrider`;
    if (!shown) return;
    // Whoever came by a link hears where they are.
    if (!first.current) main.current.querySelector("h1")?.focus({ preventScroll: true });
    if (!first.current) scrollTo(0, 0);
    if (first.current) fetchOthers();
    first.current = false;
  }, [where, shown]);
  return html`
    <a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault();
      main.current.querySelector("h1")?.focus();
    }}>Skip to the content</a>
    <header class="top">
      <a class="brand" href=${to([places[0].name])}><${Horn} /><span>Postrider</span></a>
      <nav aria-label="Main">
        <ul>
          ${places.map(({ name, title }) => html`<li key=${name}>
            <a href=${to([name])} aria-current=${name === place.name ? "page" : undefined}>${title}</a>
          </li>`)}
        </ul>
      </nav>
      <${Identity} who=${who} />
    </header>
    <${AwayNotice} />
    <main id="main" ref=${main}>
      ${shown && html`<${View} key=${where} names=${names} query=${query} who=${who} />`}
      ${failed && html`<div class="notice bad" role="alert"><strong>This part of the page could not be fetched</strong>
        <p>Postrider does not answer, or is of another version by now.</p>
        <div class="buttons"><button onClick=${again}>Try again</button><button onClick=${() => location.reload()}>Reload the page</button></div></div>`}
    </main>
    <footer>Times are in ${zone()}. <a href="reference">The API</a> can do whatever this page does.</footer>
    <${Announcement} />
  `;
}

const MAY = { admin: "may do everything", operator: "may look at everything, and change nothing", customer: "sees and changes what is this customer's" };

function Identity({ who }) {
  const own = useLive(who.customer && path("customers", who.customer), null, 0);
  const said = who.role === "customer" ? (own.data?.name ?? who.customer) : who.role === "operator" ? "operator, read only" : who.role;
  return html`<div class="identity">
    <span class="who" title=${MAY[who.role]}>${said}</span>
    <${Theme} />
    <a class="api" href="reference">API</a>
    <button class="plain" onClick=${() => leave(() => end())}>Sign out</button>
  </div>`;
}

const NEXT = { auto: "light", light: "dark", dark: "auto" };

function Theme() {
  const [theme, setTheme] = useState(window.postriderTheme.get());
  const turn = () => {
    window.postriderTheme.set(NEXT[theme]);
    setTheme(NEXT[theme]);
  };
  const name = theme === "auto" ? "as the system" : theme;
  return html`<button class="plain" onClick=${turn} title="Colours: ${name}">
    <${ThemeIcon} /><span class="unseen">Colours: </span><span>${theme}</span>
  </button>`;
}

// The view that is wanted first is on its way already; with it the first picture is a whole one. Who is asked for a key does
// not wait for it, and nobody waits long for all to be seen at once.
const PATIENCE_MS = 1000;
const wanted = window.postriderEarly.view;
const fetched = fetchView(`${wanted[0].toUpperCase()}${wanted.slice(1)}`).catch(() => {});
if (session.get().key !== null) await Promise.race([fetched, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
render(html`<${App} />`, document.getElementById("app"));
