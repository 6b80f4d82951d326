// The one Node process beside workerd: the database's adapter, the way out for letters, and the clock that stands in for
// Cloudflare's cron.
import { startNeonAdapter } from "../database/server.ts";
import { startClock } from "./clock.ts";
import { readCompanionEnvironment } from "./environment.ts";
import { openMailRoom } from "./mail.ts";

const { adapterPort, postgres, clockUrl, mail } = readCompanionEnvironment(process.env);
const log = (line: string): void => console.error(line);
const mailRoom = mail === null ? null : openMailRoom(mail, log);
const options = { port: adapterPort, postgres, ...(mailRoom === null ? {} : { mail: mailRoom }) };
const adapter = await startNeonAdapter(options).catch((error: NodeJS.ErrnoException) => {
  if (error.code !== "EADDRINUSE") throw error;
  console.error(`port ${adapterPort} of 127.0.0.1, for the database adapter, is taken by another program`);
  process.exit(1);
});
const clock = clockUrl === null ? null : startClock(clockUrl, log);

// Under a supervisor with a channel it says that it is ready, and ends with it.
process.send?.({ kind: "ready", port: adapter.port });
process.once("disconnect", () => process.exit(0));
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    clock?.stop();
    mailRoom?.close();
    void adapter.close().then(() => process.exit(0));
  });
}
