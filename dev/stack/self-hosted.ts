// The stack's Workers in the self-hosted profile: what `berth setup --self-hosted` makes, on plain workerd, with a local S3 store.
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { workerdBinary } from "../../self-hosted/build/workerd-binary.ts";
import { bundleWorkers, CONFIGURATION_FILE } from "../../self-hosted/build/write-workers.ts";
import { openLog, spawnNode, untilReadyMessage, type ChildSpec } from "./child.ts";
import type { WorkersPlan } from "./bundles.ts";

export const BUCKET = "bundles";
const POLL_MS = 25;
/** The account that s3rver knows. */
const S3_ACCOUNT = "S3RVER";
/** Only these are in the configuration as they are; all else is a secret, in workerd's environment. */
const PLAIN =
  /^(BASE_DOMAIN|EDGE_ORIGIN|DEFAULT_REGION|NEON_ADAPTER|CONTROL_ORIGIN|SIGN_UP|OUTBOUND_ALLOW|TUNING|[A-Z_]*_URL)$/;

export interface SelfHostedPlan extends WorkersPlan {
  readonly clockPort: number;
  readonly s3Port: number;
}

/** Both Workers are one process here: the role "edge" is the same as "control". */
export async function selfHostedSpecs(plan: SelfHostedPlan): Promise<ChildSpec[]> {
  const { stateDir, bindings } = plan;
  const folder = join(stateDir, "bundles");
  const objects = join(stateDir, "storage", "objects");
  mkdirSync(objects, { recursive: true, mode: 0o700 });
  const vars = { control: split(bindings.control).plain, edge: split(bindings.edge).plain };
  const secrets = { control: split(bindings.control).secret, edge: split(bindings.edge).secret };
  const configuration = await bundleWorkers(folder, {
    sockets: socketsOf(plan),
    vars: {
      ...vars,
      stores: { S3_ENDPOINT: `http://127.0.0.1:${plan.s3Port}`, S3_BUCKET: BUCKET, S3_REGION: "us-east-1" },
    },
    secrets: {
      control: Object.keys(secrets.control),
      edge: Object.keys(secrets.edge),
      stores: ["S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"],
    },
  });
  writeFileSync(join(folder, CONFIGURATION_FILE), configuration);
  const environment = {
    ...secrets.edge,
    ...secrets.control,
    S3_ACCESS_KEY_ID: S3_ACCOUNT,
    S3_SECRET_ACCESS_KEY: S3_ACCOUNT,
  };
  return [storeSpec(plan), workerdSpec(plan, folder, objects, environment)];
}

const socketsOf = ({ ports, clockPort }: SelfHostedPlan) => ({
  control: `127.0.0.1:${ports.control}`,
  edge: `127.0.0.1:${ports.edge}`,
  clock: `127.0.0.1:${clockPort}`,
});

function split(bindings: Readonly<Record<string, string>>) {
  const entries = Object.entries(bindings);
  return {
    plain: Object.fromEntries(entries.filter(([name]) => PLAIN.test(name) && !name.startsWith("DATABASE_"))),
    secret: Object.fromEntries(entries.filter(([name]) => !PLAIN.test(name) || name.startsWith("DATABASE_"))),
  };
}

function workerdSpec(
  plan: SelfHostedPlan,
  folder: string,
  objects: string,
  secrets: Readonly<Record<string, string>>,
): ChildSpec {
  const logFile = join(plan.stateDir, "logs", "control.log");
  const args = ["serve", join(folder, CONFIGURATION_FILE), "config", `--directory-path=objects=${objects}`];
  return {
    role: "control",
    logFile,
    start: (environment) => {
      const log = openLog(logFile);
      const env = { ...process.env, ...environment, ...secrets };
      const child = spawn(workerdBinary(), args, { stdio: ["ignore", log, log], detached: true, env });
      closeSync(log);
      return child;
    },
    untilReady: async (child) => {
      await Promise.all([untilAnswers(plan.ports.control), untilAnswers(plan.ports.edge)]);
      for (const role of ["control", "edge"]) plan.onWorkerd(role, child.pid ?? null);
    },
    stopSignal: "SIGTERM",
    ownsGroup: true,
  };
}

/** workerd tells nobody that it listens. Whoever waits is let go when the process ends. */
async function untilAnswers(port: number): Promise<void> {
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => null);
    await answer?.body?.cancel();
    if (answer !== null) return;
    await sleep(POLL_MS);
  }
}

function storeSpec({ stateDir, s3Port }: SelfHostedPlan): ChildSpec {
  const logFile = join(stateDir, "logs", "s3.log");
  const directory = join(stateDir, "storage", "s3");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return {
    role: "s3",
    logFile,
    start: (environment) =>
      spawnNode({
        script: fileURLToPath(new URL("../s3/main.ts", import.meta.url)),
        args: [String(s3Port), directory, BUCKET],
        logFile,
        environment,
        channel: true,
      }),
    untilReady: (child) => untilReadyMessage(child, () => {}),
    stopSignal: "SIGTERM",
    ownsGroup: true,
  };
}
