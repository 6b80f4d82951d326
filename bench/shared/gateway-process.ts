// The gateway alone as a process: what `berth-agent gateway` runs, without an agent. argv: JSON {dir, host, port, limits}.
import { runGateway } from "../../node-agent/gateway/run.ts";

const wish = JSON.parse(process.argv[2] ?? "{}") as {
  dir: string;
  host: string;
  port: number;
  limits: Record<string, number>;
};
const quiet = { info: () => undefined, warn: () => undefined };
const gateway = await runGateway({
  version: "bench",
  dir: wish.dir,
  host: wish.host,
  port: wish.port,
  log: quiet,
  limits: wish.limits,
});
process.stdout.write(`${gateway.port}\n`);
// Ends with whoever started it, even if that was killed.
process.stdin.resume().once("end", () => process.exit(0));
process.once("SIGTERM", () => void gateway.close().then(() => process.exit(0)));
