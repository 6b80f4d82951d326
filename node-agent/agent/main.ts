// The one file on a server: `run` (the agent), `gateway`, `ingress` and `watchdog` (its children), `status`, `purge`.
import { pino } from "pino";
import { assertNever } from "../../core/step.ts";
import { runAgent } from "./agent.ts";
import { ingressCommand } from "./break-glass/ingress-command.ts";
import { gatewayCommand, purgeCommand, statusCommand } from "./commands.ts";
import { type Command, readCommand, USAGE } from "./options.ts";
import { runWatchdog } from "./watchdog/watchdog.ts";

async function main(): Promise<void> {
  const command = readCommand(process.argv.slice(2), process.env);
  // The join token is for one request; nothing that is started from here needs it.
  delete process.env.BERTH_JOIN_TOKEN;
  await execute(command);
}

async function execute(command: Command): Promise<void> {
  switch (command.kind) {
    case "help":
      process.stdout.write(USAGE);
      return;
    case "run":
      return runAgent(command.options, pino({ base: { part: "agent" } }), untilSignal());
    case "gateway":
      return gatewayCommand(command, untilSignal());
    case "ingress":
      return ingressCommand(command, untilSignal());
    case "watchdog":
      return runWatchdog(command.dir, command.watchMs, untilSignal());
    case "status":
      process.stdout.write(`${JSON.stringify(await statusCommand(command.dir), null, 2)}\n`);
      return;
    case "purge":
      process.stdout.write(`${JSON.stringify(await purgeCommand(command.dir))}\n`);
      return;
    default:
      assertNever(command);
  }
}

function untilSignal(): AbortSignal {
  const ending = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => ending.abort());
  return ending.signal;
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`berth agent: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
