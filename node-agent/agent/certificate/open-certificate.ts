// Puts a node's certificate together from its options: whose affair its name is, and whether its certificate is given or ordered.
import type { Logger } from "pino";
import type { GatewaySocket } from "../gateway-child/gateway-socket.ts";
import type { Control } from "../link/control.ts";
import type { ControlClock } from "../link/control-clock.ts";
import type { RunOptions } from "../options.ts";
import type { Conditions } from "../report/conditions.ts";
import type { Notices } from "../report/notices.ts";
import { GivenFiles } from "./given-files.ts";
import { NameStore } from "./name-store.ts";
import { Naming } from "./naming.ts";
import { NodeCertificate } from "./node-certificate.ts";
import { Orders } from "./orders.ts";
import { publicAddresses } from "./public-addresses.ts";

interface Around {
  readonly log: Logger;
  readonly conditions: Conditions;
  readonly notices: Notices;
  readonly gateway: GatewaySocket;
  /** There is news for the control plane. */
  readonly tell: () => void;
}

/** What is on disk and in the given files has been taken up; nothing is asked yet. */
export async function openCertificate(
  options: RunOptions,
  { control, clock }: { readonly control: Control; readonly clock: ControlClock },
  { log, conditions, notices, gateway, tell }: Around,
): Promise<NodeCertificate> {
  const { dir, limits, gatewayHost, gatewayPort } = options;
  const store = await NameStore.open(dir);
  const addresses = () =>
    (options.naming.kind === "own" ? options.naming.addresses : null) ?? publicAddresses(gatewayHost);
  // A host that has said no address and has none behind its gateway is reached in some other way.
  const isNamed = options.naming.kind === "own" && (addresses().length > 0 || store.state.name !== undefined);
  const naming = isNamed ? new Naming({ control, limits, log, store, gatewayPort, addresses }) : null;
  const given = options.tls === null ? null : new GivenFiles(options.tls);
  const orders = new Orders({ limits, log, clock, store, email: options.acmeEmail });
  const around = { dir, limits, log, clock, gateway, conditions, notices, store, naming, given, orders, changed: tell };
  const certificate = new NodeCertificate(around);
  await certificate.open();
  return certificate;
}
