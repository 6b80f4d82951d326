// The adapter as a process of its own: `node main.ts <port> <postgres port>`; it ends with the supervisor that started it.
import { startNeonAdapter } from "./server.ts";

const [port, postgresPort] = process.argv.slice(2).map(Number);
if (port === undefined || postgresPort === undefined) throw new Error("usage: main.ts <port> <postgres port>");
const adapter = await startNeonAdapter({ port, postgres: { host: "127.0.0.1", port: postgresPort } });
process.send?.({ kind: "ready", port: adapter.port });
process.once("disconnect", () => process.exit(0));
process.once("SIGTERM", () => void adapter.close().then(() => process.exit(0)));
