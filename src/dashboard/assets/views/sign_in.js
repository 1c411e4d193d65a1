// The way in: an API key.
import { identify } from "../core/identify.js";
import { html, useState } from "../core/ui.js";
import { Text } from "../parts/field.js";
import { Horn } from "../parts/icons.js";
import { ProblemNotice } from "../parts/notice.js";

export function SignIn({ notice }) {
  const [key, setKey] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await identify(key.trim());
    } catch (failed) {
      setProblem(failed.status === 401 ? { title: "This key is not known", detail: "Look whether all of it was copied." } : failed);
      setBusy(false);
    }
  };
  return html`<main class="sign-in">
    <form onSubmit=${submit}>
      <div class="stripes" aria-hidden="true"></div>
      <h1 tabindex="-1"><${Horn} />Postrider</h1>
      <p class="dim">Events from Kafka, delivered to every endpoint.</p>
      ${notice && html`<p class="notice" role="status">${notice}</p>`}
      <${Text} label="API key" type="password" value=${key} onValue=${setKey} required autofocus=${true} autocomplete="current-password"
        hint="It stays in this tab until you sign out, and is never part of an address." />
      <${ProblemNotice} problem=${problem} />
      <button class="primary" disabled=${busy}>Sign in</button>
    </form>
  </main>`;
}
