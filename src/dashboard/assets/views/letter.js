// One dead letter, with the record that the producer wrote.
import { path } from "../core/api.js";
import { bytes, count, words } from "../core/format.js";
import { useLive } from "../core/live.js";
import { html } from "../core/ui.js";
import { Copy } from "../parts/copy.js";
import { Dialog } from "../parts/dialog.js";
import { Facts } from "../parts/facts.js";
import { Loaded } from "../parts/notice.js";
import { At } from "../parts/time.js";

export function Letter({ id, onClose }) {
  const live = useLive(path("dead-letters", id), null, 0);
  return html`<${Dialog} wide title="Dead letter" onClose=${onClose}>
    <${Loaded} live=${live} what="the dead letter">${(letter) => html`
      <${Facts} of=${[
        ["Event", letter.event_id && html`<code>${letter.event_id}</code>`],
        ["Its id at the endpoint", letter.webhook_id && html`<code>${letter.webhook_id}</code>`],
        ["Type", letter.type],
        ["Tenant", letter.tenant && `${letter.tenant}${letter.department ? ` / ${letter.department}` : ""}`],
        ["Record", html`<code>${letter.topic}</code> ${letter.partition} / ${letter.offset}`],
        ["Reason", words(letter.reason)],
        ["Attempts", count(letter.attempts)],
        ["Last answer", letter.last_status ?? words(letter.last_class ?? "")],
        ["Received", html`<${At} at=${letter.received_at} />`],
        ["Dead-lettered at", html`<${At} at=${letter.created_at} />`],
        ["Size", bytes(letter.data_bytes)],
      ]} />
      ${letter.last_excerpt && html`<h3>Response of the endpoint</h3><pre tabindex="0">${letter.last_excerpt}</pre>`}
      <h3>Data <${Copy} text=${body(letter)} /></h3>
      <pre tabindex="0">${body(letter)}</pre>
      ${letter.headers?.length > 0 && html`<h3>Headers</h3>
        <${Facts} of=${letter.headers.map(({ name, value, value_base64: coded }) => [name, html`<code>${value ?? coded ?? "null"}</code>`])} />`}`}
    <//>
    <div class="buttons end"><button onClick=${onClose}>Close</button></div>
  <//>`;
}

const body = (letter) => letter.data_base64 ?? JSON.stringify(letter.data, null, 2);
