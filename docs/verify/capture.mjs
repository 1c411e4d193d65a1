// Takes one request, writes its body and its webhook-… headers into the folder that it is given, and ends.
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";

const folder = process.argv[2];
const server = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    for (const [name, value] of Object.entries(request.headers)) if (name.startsWith("webhook-")) writeFileSync(`${folder}/${name}`, value);
    writeFileSync(`${folder}/body`, Buffer.concat(parts));
    response.writeHead(200, { connection: "close" });
    response.end(() => server.close());
  });
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/hook`));
