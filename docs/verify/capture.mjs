// Takes requests until it has one of each path (/one, /lines, /bytes), writes their bodies and their webhook-… headers into
// folders of these names below the folder that it is given, and ends.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";

const folder = process.argv[2];
const wanted = new Set(["one", "lines", "bytes"]);
const server = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const own = `${folder}/${request.url.slice(1)}`;
    if (wanted.has(request.url.slice(1)) && !existsSync(own)) {
      mkdirSync(own);
      for (const [name, value] of Object.entries(request.headers)) if (name.startsWith("webhook-")) writeFileSync(`${own}/${name}`, value);
      writeFileSync(`${own}/body`, Buffer.concat(parts));
      wanted.delete(request.url.slice(1));
    }
    response.writeHead(200, { connection: "close" });
    response.end(() => wanted.size || server.close());
  });
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
