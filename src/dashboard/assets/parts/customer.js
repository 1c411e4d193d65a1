// Whose something is: the customer by its name, with what programs call it. Its id stands where one points.
import { path } from "../core/api.js";
import { useLive } from "../core/live.js";
import { to } from "../core/route.js";
import { html } from "../core/ui.js";

// `customer`: its name and its own key, where the API said them.
export const CustomerName = ({ id, customer }) => html`<a class="customer" href=${to(["endpoints"], { customer: customer?.uid ?? id })} title=${id}>${customer?.name ?? html`<code>${id}</code>`}</a>
  ${customer && html`<small title=${customer.uid ? `${customer.uid}, ${id}` : id}>${customer.uid ?? id}</small>`}`;

// Of one thing alone: asks for the name.
export function CustomerOf({ id }) {
  const { data } = useLive(path("customers", id), null, 0);
  return html`<span title=${id}>${data?.name ?? html`<code>${id}</code>`}</span>`;
}
