// Records that never got as far as an endpoint: nobody could read them.
import { html } from "../core/ui.js";
import { Title } from "../parts/title.js";
import { LetterList } from "./letters.js";

export const Unreadable = ({ who }) => html`
  <${Title}>Unreadable records<//>
  <p class="lead">Records that could not be decoded, or are too large. They belong to no endpoint; here they wait for the operator.</p>
  <${LetterList} at="dead-letters" name="unreadable" who=${who} />`;
