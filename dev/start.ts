// `npm start`: brings up Berth on this machine, deploys the example app as a user would, and shows what runs where.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import pc from "picocolors";
import { writePrivate } from "./stack/state.ts";
import { StackRunning, startStack, type Stack, type StackOptions } from "./stack.ts";
import { fetchThroughEdge } from "./start/fetch-through-edge.ts";
import { followNodes } from "./start/node-map.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const STATE_DIR = join(ROOT, ".berth");
const PORTS = { control: 8787, edge: 8080 };
const EXAMPLE = "hello";
const ANSWER_WITHIN_MS = 60_000;

const USAGE = `npm start -- [--fresh] [--agents <n>] [--runtime auto|docker|process] [--no-app]

  --fresh    forget everything that an earlier run left
  --agents   how many nodes, each in a rack of its own (default 3)
  --runtime  what runs the apps (default auto: Docker where an Engine answers)
  --no-app   do not deploy the example app`;

const options = {
  fresh: { type: "boolean", default: false },
  agents: { type: "string", default: "3" },
  runtime: { type: "string", default: "auto" },
  "no-app": { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

process.exit(await main());

async function main(): Promise<number> {
  let flags;
  try {
    flags = parseArgs({ options }).values;
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  if (flags.help) {
    console.log(USAGE);
    return 0;
  }
  const agents = Number(flags.agents);
  const { runtime } = flags;
  if (!Number.isInteger(agents) || agents < 1 || agents > 20 || !isRuntime(runtime)) {
    console.error(`--agents is 1 to 20, --runtime is auto, docker or process\n\n${USAGE}`);
    return 2;
  }
  const interrupted = interruption();
  try {
    return await run({ agents, runtime, fresh: flags.fresh, withApp: !flags["no-app"], signal: interrupted });
  } catch (error) {
    if (interrupted.aborted) return 130;
    console.error(pc.red((error as Error).message));
    if (!(error instanceof StackRunning)) console.error(`Logs: ${join(STATE_DIR, "logs")}`);
    return 1;
  }
}

interface Wanted {
  readonly agents: number;
  readonly runtime: "auto" | "docker" | "process";
  readonly fresh: boolean;
  readonly withApp: boolean;
  readonly signal: AbortSignal;
}

/** Until the signal aborts; then, or when the example app cannot be deployed, all of it is ended. */
async function run({ withApp, signal, ...wanted }: Wanted): Promise<number> {
  const startedMs = performance.now();
  const stack = await bringUp({ ...wanted, signal });
  try {
    if (withApp) await Promise.race([deployExample(stack, startedMs), whenAborted(signal)]);
    if (!signal.aborted) {
      report(stack, startedMs, withApp);
      await followNodes(stack, signal);
    }
  } finally {
    await stack.stop();
  }
  return 0;
}

function isRuntime(text: string): text is "auto" | "docker" | "process" {
  return text === "auto" || text === "docker" || text === "process";
}

async function bringUp(wanted: Pick<StackOptions, "fresh" | "agents" | "runtime" | "signal">): Promise<Stack> {
  console.log(pc.dim("Starting Postgres, the two Workers and the nodes …"));
  const log = (line: string) => console.log(pc.dim(line));
  const stack = await startStack({ ...wanted, ...domainVars(), stateDir: STATE_DIR, ports: PORTS, log });
  const { controlUrl: apiUrl, edgeUrl, operator } = stack;
  // What makes `npx berth` in this checkout signed in.
  const config = { apiUrl, edgeUrl, token: operator.token, ...(operator.team === null ? {} : { team: operator.team }) };
  writePrivate(join(STATE_DIR, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
  return stack;
}

/** Aborts at Ctrl-C and its like; a second one does not wait for the end. */
function interruption(): AbortSignal {
  const interrupted = new AbortController();
  const stop = (name: NodeJS.Signals) => {
    // A closing terminal sends several signals: only a person who presses Ctrl-C again is in a hurry.
    if (interrupted.signal.aborted && name === "SIGINT") process.exit(130);
    if (interrupted.signal.aborted) return;
    interrupted.abort();
    console.log(pc.dim("\nStopping …"));
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, stop);
  // Whoever read our output has gone (`npm start | head`); there is nobody left to tell.
  process.stdout.on("error", () => interrupted.abort());
  return interrupted.signal;
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** As a user does it: `berth deploy`. On later starts the app is there already, and only has to answer again. */
async function deployExample(stack: Stack, startedMs: number): Promise<void> {
  const host = `${EXAMPLE}.${stack.baseDomain}`;
  const known = await runBerth(["status", EXAMPLE, "--json"]);
  if (known.code !== 0) {
    console.log(pc.dim(`Deploying examples/${EXAMPLE} …`));
    const { code, output } = await runBerth(["deploy", join(ROOT, "examples", EXAMPLE)]);
    if (code !== 0) throw new Error(`\`berth deploy examples/${EXAMPLE}\` failed:\n${output}`);
  }
  const answer = await fetchThroughEdge(stack.edgePort, host, { withinMs: ANSWER_WITHIN_MS });
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(
    `${pc.green("✓")} http://${host}:${stack.edgePort}/ answered after ${seconds} s: ${answer.split("\n")[0]}`,
  );
}

async function runBerth(args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [join(ROOT, "cli/bin/berth.mjs"), ...args], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
    // Not the terminal's group: Ctrl-C is the supervisor's to handle.
    detached: true,
  });
  let output = "";
  child.stdout.on("data", (chunk) => (output += String(chunk)));
  child.stderr.on("data", (chunk) => (output += String(chunk)));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, output };
}

/** dev/dns/main.ts plays a zone for trying custom domains; without it the internet's is asked. */
function domainVars(): Pick<StackOptions, "vars"> {
  const { DOH_URL } = process.env;
  return DOH_URL === undefined ? {} : { vars: { control: { DOH_URL } } };
}

function report(stack: Stack, startedMs: number, withApp: boolean): void {
  const pids = stack.processes();
  const row = (name: string, where: string, pid: number | undefined) =>
    console.log(`  ${name.padEnd(14)}${where.padEnd(44)}${pc.dim(pid === undefined ? "" : `pid ${pid}`)}`);
  console.log(pc.bold(`\nBerth is up (${((performance.now() - startedMs) / 1000).toFixed(1)} s)`));
  row("API", stack.controlUrl, pids["control.workerd"]);
  row("edge", stack.edgeUrl, pids["edge.workerd"]);
  row("Postgres", `127.0.0.1:${stack.postgres.port}`, pids.postgres);
  for (const { name, failureDomain, gatewayPort, role } of stack.agents) {
    row(name, `${failureDomain}, ${stack.runtime}, gateway 127.0.0.1:${gatewayPort}`, pids[role]);
  }
  if (withApp) row("app", `http://${EXAMPLE}.${stack.baseDomain}:${stack.edgePort}/`, undefined);
  if (stack.controlPort !== PORTS.control)
    console.log(pc.yellow(`  Port ${PORTS.control} is busy: the API took ${stack.controlPort}.`));
  if (stack.edgePort !== PORTS.edge)
    console.log(pc.yellow(`  Port ${PORTS.edge} is busy: the edge took ${stack.edgePort}.`));
  console.log(`\n  Operator      ${stack.operator.email}  ${stack.operator.password}`);
  console.log(pc.dim(`  State         ${STATE_DIR} (--fresh forgets it)`));
  console.log(
    `\n  Next:  ${pc.bold(pc.cyan("npx berth demo"))}   ${pc.dim("a release, a broken one and its rollback under load; Ctrl-C here stops all")}\n`,
  );
}
