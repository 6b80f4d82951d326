// The example app: says which release, instance and node answered. Plain Node.js, no dependencies.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const { PORT = "8080", BERTH_VERSION = "0", BERTH_INSTANCE = "local", BERTH_NODE = "local" } = process.env;
const greeting = readFileSync(new URL("greeting.txt", import.meta.url), "utf8").trim();

const server = createServer((request, response) => {
  response.writeHead(200, { "content-type": "text/plain; charset=utf-8", "x-app-version": `v${BERTH_VERSION}` });
  response.end(`${greeting}\nv${BERTH_VERSION}, instance ${BERTH_INSTANCE}, node ${BERTH_NODE}\n`);
});
// Longer than any proxy keeps an idle connection, so that this side never closes one that is about to be used.
server.keepAliveTimeout = 120_000;
server.listen(Number(PORT), () => console.log(`v${BERTH_VERSION} listening on ${PORT}`));

// Finish what was accepted, then leave.
process.on("SIGTERM", () => server.close(() => process.exit(0)));
