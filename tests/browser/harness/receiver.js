// A customer's server: takes events, and refuses what it is told to.
import { createServer } from "node:http";

// `answer(event, number)` gives the status for a request, once what `hold()` gives has come.
export async function receive(answer = () => 200, hold = () => null) {
  const got = [];
  const server = createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", async () => {
      await hold();
      const event = { id: request.headers["webhook-id"], body: Buffer.concat(parts).toString(), headers: request.headers };
      event.status = answer(event, got.length);
      got.push(event);
      response.writeHead(event.status, { "content-type": "text/plain" });
      response.end(event.status === 200 ? "" : "this order is <b>not known</b>");
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}/hook`;
  return {
    url,
    got,
    taken: () => got.filter(({ status }) => status === 200),
    close: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}
