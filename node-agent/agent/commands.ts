// The commands beside `run`: the gateway's process, what a folder's node is, and the end of all that a node runs.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pino } from "pino";
import { agentLimitsFrom } from "../../core/converge/limits.ts";
import { ENDPOINT_FILE, GATEWAY_LEAVING_PREFIX, GATEWAY_PID_FILE, GATEWAY_SOCKET } from "../endpoint-file.ts";
import { takeOver } from "../gateway/hand-over.ts";
import { runGateway } from "../gateway/run.ts";
import { endIngress } from "./break-glass/ingress-child.ts";
import { DiskGate } from "./disk/disk-gate.ts";
import { Firewall } from "./firewall/firewall.ts";
import { readEndpoints } from "./gateway-child/endpoint-writer.ts";
import { endCloudflared } from "./reach/cloudflared.ts";
import { endGateway } from "./gateway-child/gateway-child.ts";
import { Bundles } from "./runtime/bundles.ts";
import { DockerRuntime, findEngine } from "./runtime/docker/docker-runtime.ts";
import { ProcessRuntime } from "./runtime/process/process-runtime.ts";
import { DesiredStore } from "./state/desired-store.ts";
import { readEnrolment } from "./state/identity.ts";
import { AGENT_PID_FILE, INGRESS_PID_FILE, LAUNCHER_PID_FILE, WATCHDOG_PID_FILE } from "./state/pid-files.ts";
import { claimPidFile, livingOwner, signal, takePidFile, waitForEnd } from "./state/process-id.ts";
import type { Command } from "./options.ts";
import { AGENT_VERSION } from "./version.ts";
import { endWatchdog } from "./watchdog/watchdog-child.ts";

type GatewayCommand = Extract<Command, { kind: "gateway" }>;

/** Resolves when the gateway was told to end, or handed over, and its open requests are done. */
export async function gatewayCommand({ dir, host, port, listenFd }: GatewayCommand, until: AbortSignal): Promise<void> {
  // Claimed before listening: a second gateway would share the port and split the node's traffic. Unless the first one asks for it.
  if (listenFd === undefined) await claimPidFile(dir, GATEWAY_PID_FILE);
  const log = pino({ base: { part: "gateway" } });
  const handedOver = Promise.withResolvers<"handed over">();
  const gateway = await runGateway({
    ...{ dir, host, port, log, version: AGENT_VERSION },
    ...(listenFd === undefined ? {} : { listenFd }),
    handedOver: () => handedOver.resolve("handed over"),
  });
  if (listenFd !== undefined) {
    await takePidFile(dir, GATEWAY_PID_FILE);
    takeOver(gateway.counters);
  }
  const told = new Promise<"told">((resolve) => until.addEventListener("abort", () => resolve("told")));
  const leaving = `${GATEWAY_LEAVING_PREFIX}${process.pid}`;
  const patiently = (await Promise.race([told, handedOver.promise])) === "handed over";
  if (patiently) await takePidFile(dir, leaving);
  const closed = gateway.close({ patiently });
  // Told to end while it drains patiently: not even that is waited for.
  await (patiently ? Promise.race([closed, told]) : closed);
  await rm(join(dir, patiently ? leaving : GATEWAY_PID_FILE), { force: true });
}

export async function statusCommand(dir: string): Promise<object> {
  const enrolled = await readEnrolment(dir);
  const { desired } = await DesiredStore.open(dir, Infinity);
  const endpoints = await readEndpoints(dir);
  return {
    node: enrolled?.node ?? null,
    cell: enrolled?.cell ?? null,
    agent: (await livingOwner(join(dir, AGENT_PID_FILE)))?.pid ?? null,
    gateway: (await livingOwner(join(dir, GATEWAY_PID_FILE)))?.pid ?? null,
    revision: desired?.revision ?? null,
    instances: (desired?.instances ?? []).map(({ instance, generation, appName, version, intent }) => {
      const row = endpoints?.instances.find((at) => at.instance === instance && at.generation === generation);
      return { instance, generation, app: appName, version, intent, state: row?.state ?? null };
    }),
  };
}

/** Agent first, so that nothing is started again; what the document names comes back with the next `run`. */
export async function purgeCommand(dir: string): Promise<{ instances: number }> {
  // A launcher would start the agent again.
  for (const name of [LAUNCHER_PID_FILE, AGENT_PID_FILE]) {
    const owner = await livingOwner(join(dir, name));
    if (owner === null) continue;
    await signal(owner, "SIGTERM");
    if (!(await waitForEnd(owner, 10_000))) await signal(owner, "SIGKILL");
  }
  await Promise.all([endGateway(dir), endIngress(dir), endWatchdog(dir), endCloudflared(dir)]);
  const instances = await purgeInstances(dir);
  for (const name of [
    ENDPOINT_FILE,
    GATEWAY_SOCKET,
    GATEWAY_PID_FILE,
    AGENT_PID_FILE,
    LAUNCHER_PID_FILE,
    INGRESS_PID_FILE,
    WATCHDOG_PID_FILE,
  ]) {
    await rm(join(dir, name), { force: true });
  }
  return { instances };
}

/** Of both runtimes: a folder may have been run with either. */
async function purgeInstances(dir: string): Promise<number> {
  const node = (await readEnrolment(dir))?.node;
  if (node === undefined) return 0;
  const limits = agentLimitsFrom({});
  const gate = new DiskGate();
  const bundles = new Bundles(dir, limits, gate, () => Promise.reject(new Error("nothing is fetched here")));
  const firewall = new Firewall({ node, mode: "off", allowed: [], nameServers: [], limits, log: null });
  const place = { dir, node, limits, bundles, gate, firewall, nameServers: [], outboundAllowed: [] };
  const engine = await findEngine();
  let ended = 0;
  const docker = engine === null ? null : new DockerRuntime(engine, place);
  for (const runtime of [docker, new ProcessRuntime(place)]) {
    if (runtime === null) continue;
    const units = await runtime.list();
    await Promise.all(units.map((unit) => runtime.stop(unit, 0)));
    await runtime.tidy(new Set());
    await runtime.close();
    ended += units.length;
  }
  await firewall.remove();
  return ended;
}
