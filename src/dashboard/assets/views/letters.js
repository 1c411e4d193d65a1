// The dead letters of one endpoint: looked at, taken along, sent again, or acknowledged, which removes them.
import { get, path, post } from "../core/api.js";
import fields from "../core/fields.js";
import { count, words } from "../core/format.js";
import { useLive } from "../core/live.js";
import { mayWrite } from "../core/session.js";
import { html, useState } from "../core/ui.js";
import { announce } from "../parts/announce.js";
import { Confirm } from "../parts/dialog.js";
import { Choice, Text } from "../parts/field.js";
import { Loaded } from "../parts/notice.js";
import { Pager, Table, cursorOf } from "../parts/table.js";
import { At } from "../parts/time.js";
import { Search } from "./endpoints.js";
import { Letter } from "./letter.js";
import { saveLetters } from "./letters_save.js";
import { Redriving, follow } from "./redriving.js";

const REASONS = fields.letters.reason.words.map(([word]) => word);

export const Letters = ({ endpoint, who }) => html`<${LetterList} at=${path("endpoints", endpoint.id, "dead-letters")} name=${endpoint.uid ?? endpoint.id} who=${who} endpoint=${endpoint} />`;

// `at`: whose letters. `endpoint`: where they can be sent again.
export function LetterList({ at, name, who, endpoint }) {
  const redrive = endpoint !== undefined;
  const [of, setOf] = useState({ reason: "", topic: "", tenant: "", since: "", until: "" });
  const [trail, setTrail] = useState([]);
  const [chosen, setChosen] = useState(new Set());
  const [asked, setAsked] = useState(null);
  const [open, setOpen] = useState(null);
  const live = useLive(at, { ...of, limit: 50, cursor: cursorOf(trail) }, 4000);
  const turn = (next) => {
    setTrail(next);
    setChosen(new Set());
  };
  const change = (field) => (value) => {
    setOf({ ...of, [field]: value });
    turn([]);
  };
  const filtered = Object.values(of).some((value) => value !== "");
  const those = filtered ? { filter: Object.fromEntries(Object.entries(of).filter(([, value]) => value !== "")) } : { all: true };
  const ids = [...chosen].filter((id) => live.data?.data.some((letter) => letter.id === id));
  const select = (id, on) => {
    const next = new Set(ids);
    if (on) next.add(id);
    else next.delete(id);
    setChosen(next);
  };
  return html`
    <div class="filters">
      <${Choice} label="Reason" value=${of.reason} options=${[["", "any"], ...REASONS.map((one) => [one, words(one)])]} onValue=${change("reason")} />
      <${Search} label="Topic" placeholder="its whole name" value=${of.topic} onValue=${change("topic")} />
      ${redrive && html`<${Search} label="Tenant" placeholder="its whole name" value=${of.tenant} onValue=${change("tenant")} />`}
      <${Moment} label="Dead-lettered since" onValue=${change("since")} />
      <${Moment} label="and before" onValue=${change("until")} />
      <div class="buttons">
        ${mayWrite(who) && redrive && html`<button class="primary" disabled=${ids.length === 0} onClick=${() => setAsked({ what: "redrive", body: { ids } })}>Send again (${ids.length})</button>`}
        ${mayWrite(who) && html`<button disabled=${ids.length === 0} onClick=${() => setAsked({ what: "ack", body: { ids } })}>Acknowledge (${ids.length})</button>`}
        ${mayWrite(who) && redrive && html`<button onClick=${() => setAsked({ what: "redrive", body: those })}>Send all ${filtered ? "like these " : ""}again …</button>`}
        ${mayWrite(who) && html`<button onClick=${() => setAsked({ what: "ack", body: those })}>Acknowledge all ${filtered ? "like these " : ""}…</button>`}
        <${Pull} at=${at} name=${name} of=${of} />
      </div>
    </div>
    ${redrive && html`<${Redriving} at=${at} endpoint=${endpoint} onChange=${live.reload} />`}
    <${Loaded} live=${live} what="the dead letters">${({ data, next_cursor: next }) => html`
      <${Table} caption="Dead letters" rows=${data} rowKey=${({ id }) => id} empty="No dead letters: nothing was given up."
        columns=${columns({ data, ids, select, setChosen, setOpen, choose: mayWrite(who) })} />
      <${Pager} trail=${trail} next=${next} onTrail=${turn} shown=${data.length} what="dead letters" />`}
    <//>
    ${open && html`<${Letter} id=${open} onClose=${() => setOpen(null)} />`}
    ${asked && html`<${Ask} at=${at} name=${name} asked=${asked} onClose=${() => setAsked(null)} onDone=${() => { setChosen(new Set()); live.reload(); }} />`}`;
}

// A time of this browser, as the API has it.
function Moment({ label, onValue }) {
  const [typed, setTyped] = useState("");
  const change = (text) => {
    setTyped(text);
    const at = new Date(text);
    onValue(Number.isNaN(at.getTime()) ? "" : at.toISOString());
  };
  return html`<${Text} label=${label} type="datetime-local" value=${typed} onValue=${change} />`;
}

function columns({ data, ids, select, setChosen, setOpen, choose }) {
  const all = data.length > 0 && ids.length === data.length;
  const box = {
    title: html`<input type="checkbox" aria-label="All on this page" checked=${all} indeterminate=${ids.length > 0 && !all}
      onChange=${(event) => setChosen(new Set(event.target.checked ? data.map(({ id }) => id) : []))} />`,
    plain: true,
    cell: ({ id, event_id: event, offset }) => html`<input type="checkbox" aria-label="Choose ${event ?? `offset ${offset}`}"
      checked=${ids.includes(id)} onChange=${(event) => select(id, event.target.checked)} />`,
  };
  return [
    ...(choose ? [box] : []),
    { title: "Dead-lettered at", cell: ({ created_at: at }) => html`<${At} at=${at} />` },
    { title: "Event", wide: true, cell: (letter) => html`<button class="link" onClick=${() => setOpen(letter.id)}>${letter.event_id ?? `${letter.topic}/${letter.partition}/${letter.offset}`}</button>
      <small>${letter.type ?? ""}</small>` },
    { title: "Topic", cell: ({ topic, partition, offset }) => html`<code>${topic}</code><small>${partition} / ${offset}</small>` },
    { title: "Tenant", cell: ({ tenant, department }) => html`${tenant ?? "–"}${department && html`<small>${department}</small>`}` },
    { title: "Reason", cell: ({ reason }) => words(reason) },
    { title: "Attempts", number: true, cell: ({ attempts }) => count(attempts) },
    { title: "Last answer", cell: (letter) => html`${letter.last_status ?? words(letter.last_class ?? "")}${letter.last_excerpt && html`<small class="excerpt">${letter.last_excerpt}</small>`}` },
    { title: "State", cell: ({ state, redrive_requested_at: at }) => html`${words(state)}${at && html`<small>asked <${At} at=${at} /></small>`}` },
  ];
}

const WORDS = {
  redrive: { verb: "Send again", said: "on their way again", done: "redriving", text: "Sent again, under the same ids, by the instance that owns their partitions. Those that are delivered disappear here." },
  ack: { verb: "Acknowledge", said: "acknowledged", done: "acknowledged", text: "Acknowledged letters are removed for good, with their data." },
};

function Ask({ at, name, asked: { what, body }, onClose, onDone }) {
  const { verb, said, done, text } = WORDS[what];
  const some = body.ids ? `${count(body.ids.length)} dead letter${body.ids.length === 1 ? "" : "s"}` : body.filter ? `all dead letters with ${Object.entries(body.filter).map((pair) => pair.join(" ")).join(", ")}` : "all dead letters";
  // The service does so many at once; the rest is asked for again.
  const action = async () => {
    let [sum, since] = [0, null];
    for (;;) {
      const answer = await post(`${at}/${what}`, body);
      sum += answer[done];
      since ??= answer.requested_at;
      if (!answer.more || answer[done] === 0) return { sum, since };
    }
  };
  return html`<${Confirm} title="${verb}: ${some} of ${name}?" label=${verb} danger=${what === "ack"} phrase=${what === "ack" && !body.ids ? "all" : undefined}
    action=${action} onClose=${onClose} onDone=${({ sum, since }) => { announce(`${count(sum)} ${said}`); if (since && sum > 0) follow(at, sum, since); onDone(); }}>
    <p>${text}</p>
  <//>`;
}

function Pull({ at, name, of }) {
  const [got, setGot] = useState(null);
  const pull = async () => {
    setGot(0);
    try {
      await saveLetters((cursor) => get(at, { data: true, limit: 250, ...of, cursor }), `dead-letters-${name}.ndjson`, setGot);
      announce("The dead letters are saved. Acknowledge them once they are in good hands.");
    } catch (problem) {
      announce(`They could not be pulled: ${problem.message}`);
    }
    setGot(null);
  };
  return html`<button onClick=${pull} disabled=${got !== null} title="All of them with their data, as one JSON object a line">
    ${got === null ? "Pull as a file" : `Pulling … ${count(got)}`}</button>`;
}
