// From a command line to a running agent: who this node is, what it runs things with, and when it leaves.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { refuseUnfit } from "./certificate/given-files.ts";
import { DiskGate } from "./disk/disk-gate.ts";
import { Firewall } from "./firewall/firewall.ts";
import { readEndpoints } from "./gateway-child/endpoint-writer.ts";
import { Asks } from "./link/asks.ts";
import { Control } from "./link/control.ts";
import { ControlClock } from "./link/control-clock.ts";
import { enrol } from "./link/enrol.ts";
import { closeConnections } from "./link/http.ts";
import { SpokenProtocol } from "./link/spoken-protocol.ts";
import { NodeAgent } from "./node-agent.ts";
import type { RunOptions } from "./options.ts";
import { Bundles } from "./runtime/bundles.ts";
import { chooseRuntime, type RuntimeChoice } from "./runtime/choose.ts";
import { type Enrolled, Identity } from "./state/identity.ts";
import { AGENT_PID_FILE } from "./state/pid-files.ts";
import { bootId, claimPidFile } from "./state/process-id.ts";
import { Systemd } from "./systemd.ts";
import { LauncherLink } from "./upgrade/launcher-link.ts";
import { AGENT_VERSION } from "./version.ts";

/** Runs until the signal is aborted; containers, processes and the gateway run on then. */
export async function runAgent(options: RunOptions, log: Logger, told: AbortSignal): Promise<void> {
  const { dir, limits, tls, gatewayUrl, naming } = options;
  if (tls !== null) await refuseUnfit(tls, naming.kind === "own" ? null : new URL(gatewayUrl).hostname, Date.now());
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await claimPidFile(dir, AGENT_PID_FILE);
  const leaving = new AbortController();
  const leave = () => leaving.abort();
  const signal = AbortSignal.any([told, leaving.signal]);
  const systemd = Systemd.open(process.env);
  const launcher = await LauncherLink.open(dir, leave);
  const identity = await Identity.open(dir);
  const before = await readEndpoints(dir);
  const clock = new ControlClock(before?.bootId === bootId() ? before.controlMinusMonotonicMs : undefined);
  const control = new Control(options.control, identity, clock, new SpokenProtocol(limits.protocolAgainMs));
  const choice = await chooseRuntime(options.runtime, identity.enrolled?.runtime ?? null);
  if (choice.kind === "process") log.warn("the process runtime does not isolate: run trusted code only");
  const isFirst = identity.enrolled === null;
  const enrolled = identity.enrolled ?? (await firstEnrolment(options, control, identity, choice, log, signal));
  // Of a folder from before this was remembered.
  const { kind, platform } = choice;
  if (enrolled.runtime === undefined) await identity.setEnrolled({ ...enrolled, runtime: { kind, platform } });
  const nodeLog = log.child({ node: enrolled.node });
  const asks = new Asks(control, identity.keys, limits);
  systemd?.ready(enrolled.node);
  const gate = new DiskGate();
  const bundles = new Bundles(dir, limits, gate, (hash, instance, until) => asks.bundle(hash, instance, until));
  const { nameServers, egressAllowed: allowed, outboundAllowed, firewall: mode } = options;
  const { node } = enrolled;
  const firewall = new Firewall({ node, mode, allowed, nameServers, limits, log: nodeLog });
  const runtime = choice.open({ dir, node, limits, bundles, gate, firewall, nameServers, outboundAllowed });
  const own = { identity, clock, control, asks, enrolled, isFirst, launcher, leave, systemd };
  const parts = { ...own, runtime, bundles, gate, firewall };
  const agent = new NodeAgent(options, nodeLog, parts);
  const ended = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve());
  });
  try {
    // Its start waits for an Engine that is away; the end may come before.
    await Promise.race([agent.start(before), ended]);
    await ended;
  } finally {
    await agent.leave();
    await systemd?.leave();
    await rm(join(dir, AGENT_PID_FILE), { force: true });
    closeConnections();
  }
}

async function firstEnrolment(
  options: RunOptions,
  control: Control,
  identity: Identity,
  choice: RuntimeChoice,
  log: Logger,
  signal: AbortSignal,
): Promise<Enrolled> {
  const { token, name, region, failureDomain, labels, gatewayUrl, capacity, hostPorts } = options;
  if (token === null) throw new Error("this folder is not enrolled: --token (or BERTH_JOIN_TOKEN) is needed once");
  const facts = { token, name, region, failureDomain, labels, gatewayUrl, capacity, hostPorts };
  const about = { runtime: choice.kind, platform: choice.platform, agentVersion: AGENT_VERSION };
  const enrolled = await enrol(control, identity, { ...facts, ...about }, log, signal);
  log.info({ node: enrolled.node, cell: enrolled.cell }, "enrolled");
  return enrolled;
}
