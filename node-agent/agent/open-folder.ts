// What an agent is made of: all that is read from its folder, and the parts that work on it, before any of them starts.
import type { Logger } from "pino";
import type { DesiredInstance } from "../../contracts/desired.ts";
import { BreakGlass } from "./break-glass/break-glass.ts";
import { IngressChild } from "./break-glass/ingress-child.ts";
import { IngressOrders } from "./break-glass/ingress-orders.ts";
import { RegionSnapshot } from "./break-glass/region-snapshot.ts";
import type { NodeCertificate } from "./certificate/node-certificate.ts";
import { openCertificate } from "./certificate/open-certificate.ts";
import { CleanUp } from "./disk/clean-up.ts";
import type { DiskGate } from "./disk/disk-gate.ts";
import { DiskWatch } from "./disk/disk-watch.ts";
import { Inventory } from "./disk/inventory.ts";
import type { Firewall } from "./firewall/firewall.ts";
import type { EndpointWriter } from "./gateway-child/endpoint-writer.ts";
import type { GatewaySocket } from "./gateway-child/gateway-socket.ts";
import type { Asks } from "./link/asks.ts";
import type { Control } from "./link/control.ts";
import type { ControlClock } from "./link/control-clock.ts";
import { askRemoval } from "./link/removal.ts";
import { LogStore } from "./logs/log-store.ts";
import { Meter } from "./metering/meter.ts";
import { Sampler } from "./metering/sampler.ts";
import type { RunOptions } from "./options.ts";
import type { Conditions } from "./report/conditions.ts";
import { IsolationReport } from "./report/isolation-report.ts";
import { Notices } from "./report/notices.ts";
import { Reach } from "./reach/reach.ts";
import type { Bundles } from "./runtime/bundles.ts";
import type { PlatformEnvironment, Runtime } from "./runtime/runtime.ts";
import { Contact } from "./state/contact.ts";
import { DesiredStore } from "./state/desired-store.ts";
import { FactsStore } from "./state/facts-store.ts";
import type { Enrolled, Identity } from "./state/identity.ts";
import { Arrival } from "./supervise/arrival.ts";
import { Dismissal } from "./supervise/dismissal.ts";
import { Fleet } from "./supervise/fleet.ts";
import { StartQueue } from "./supervise/ports.ts";
import { StrictSingletons } from "./supervise/strict.ts";
import { BundleStore } from "./upgrade/bundle-store.ts";
import type { Systemd } from "./systemd.ts";
import type { LauncherLink } from "./upgrade/launcher-link.ts";
import { Upgrader } from "./upgrade/upgrader.ts";
import { endWatchdog, WatchdogChild } from "./watchdog/watchdog-child.ts";

export interface Parts {
  readonly identity: Identity;
  readonly clock: ControlClock;
  readonly control: Control;
  readonly asks: Asks;
  readonly runtime: Runtime;
  readonly bundles: Bundles;
  readonly gate: DiskGate;
  readonly firewall: Firewall;
  readonly enrolled: Enrolled;
  readonly launcher: LauncherLink | null;
  /** null: something else runs this agent. */
  readonly systemd: Systemd | null;
  /** Ends this agent, as SIGTERM does. */
  readonly leave: () => void;
  /** Whether this run enrolled the node: no agent ran here before. */
  readonly isFirst: boolean;
}

/** What is read from the folder before anything starts. */
export interface Opened {
  readonly store: DesiredStore;
  readonly meter: Meter;
  readonly contact: Contact;
  readonly notices: Notices;
  readonly facts: FactsStore;
  readonly arrival: Arrival;
  readonly dismissal: Dismissal;
  readonly strict: StrictSingletons;
  readonly fleet: Fleet;
  readonly sampler: Sampler;
  readonly disks: DiskWatch;
  readonly inventory: Inventory;
  readonly certificate: NodeCertificate;
  readonly breakGlass: BreakGlass;
  readonly upgrader: Upgrader;
  readonly reach: Reach;
  readonly isolation: IsolationReport;
}

/** What the parts need of the agent around them. */
export interface Around {
  readonly log: Logger;
  readonly conditions: Conditions;
  readonly endpoints: EndpointWriter;
  readonly gateway: GatewaySocket;
  readonly platformEnvironment: (desired: DesiredInstance) => PlatformEnvironment;
  /** Look at the plan again, and tell the control plane. */
  readonly changed: () => void;
  /** See Arrival. */
  readonly arrived: () => void;
  /** There is news for the control plane. */
  readonly tell: () => void;
  /** The lease of strict singletons ran out. */
  readonly lapsed: () => void;
}

/** Everything of an agent that needs its folder or its runtime. Nothing is started yet. */
export async function openFolder(options: RunOptions, parts: Parts, around: Around): Promise<Opened> {
  const { dir, limits, gatewayPort } = options;
  const { runtime, asks, clock, control, identity, bundles, gate, firewall } = parts;
  const { log, endpoints, gateway, conditions, platformEnvironment, changed, lapsed } = around;
  const store = await DesiredStore.open(dir, limits.fencesMax);
  const meter = await Meter.open(dir, limits);
  const contact = await Contact.open(dir);
  const facts = await FactsStore.open(dir);
  const nowMs = () => clock.nowMs();
  const notices = await Notices.open(dir, { nowMs, changed: around.tell });
  const logs = new LogStore(dir, limits);
  const arrival = new Arrival({ limits, silentForMs: () => contact.silentForMs, changed: around.arrived });
  const watchdog = new WatchdogChild(dir, limits.strictWatchMs, log);
  const strict = new StrictSingletons({ dir, limits, log, contact, runtime, watchdog, notices, lapsed });
  const dismissal = new Dismissal({
    ...{ limits, log, changed },
    ask: () => askRemoval(control, identity, limits),
    isEmpty: () => fleet.isEmpty,
  });
  const fleet = new Fleet({
    ...{ runtime, asks, clock, limits, log, logs, meter, store, facts, notices, strict, arrival, dismissal },
    ...{ endpoints, gateway, gatewayPort, platformEnvironment, changed },
    starts: new StartQueue(limits.startsAtOnceMax),
  });
  const desired = () => store.desired;
  const cleanUp = new CleanUp({ dir, limits, log, runtime, bundles, notices, desired, known: () => fleet.known });
  const folders = onceKnown(dir, runtime);
  const disks = new DiskWatch({ limits, log, conditions, gate, cleanUp, folders });
  const inventory = new Inventory(runtime, bundles, limits);
  const sampler = new Sampler(runtime, meter, gateway, () => fleet.running(), clock, limits);
  const certificate = await openCertificate(options, parts, { ...around, notices });
  const ways = { dir, limits, log, control, gateway, conditions, changed: around.tell };
  const reach = await Reach.open(options.reach, ways);
  const upgrader = new Upgrader({
    ...{ limits, log, notices, nowMs, keys: options.releaseKeys, launcher: parts.launcher, leave: parts.leave },
    store: new BundleStore(dir),
    fetch: (sha256, signal) => asks.agent(sha256, signal),
    changed: around.tell,
    // While there are strict singletons, a watchdog of this version is started in its place within a second.
    proven: () => void endWatchdog(dir),
  });
  const snapshot = new RegionSnapshot({ dir, limits, log, control, identity, gateway });
  await snapshot.open();
  const ingress = options.ingress === null ? null : new IngressChild(dir, options.ingress, limits, log);
  const email = options.acmeEmail;
  const isOrdering = options.ingress !== null && options.ingress.certificates === null;
  const orders = isOrdering ? new IngressOrders({ dir, limits, log, clock, control, email }) : null;
  const breakGlass = new BreakGlass(snapshot, ingress, orders);
  const isolation = new IsolationReport({
    runtime,
    firewall,
    log,
    conditions,
    notices,
    mode: options.firewall,
  });
  const told = { isolation, contact, notices, facts, arrival, dismissal, certificate, breakGlass, reach, upgrader };
  return { store, meter, strict, fleet, sampler, disks, inventory, ...told };
}

/** The agent's own folder, and the Engine's once it has said where that is. */
function onceKnown(dir: string, runtime: Runtime): () => Promise<string[]> {
  let data: string | null = null;
  return async () => {
    data ??= await runtime.dataFolder().catch(() => null);
    return data === null ? [dir] : [dir, data];
  };
}
