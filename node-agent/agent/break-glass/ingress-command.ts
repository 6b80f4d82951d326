// The ingress's process: which node it is, and whose key its tickets are signed by, come from the agent's folder.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pino } from "pino";
import { sayServes } from "../../gateway/hand-over.ts";
import { runIngress } from "../../ingress/run.ts";
import type { Command } from "../options.ts";
import { Identity } from "../state/identity.ts";
import { INGRESS_LEAVING_PREFIX, INGRESS_PID_FILE } from "../state/pid-files.ts";
import { claimPidFile, takePidFile } from "../state/process-id.ts";
import { AGENT_VERSION } from "../version.ts";

/** Resolves when it was told to end and its open requests are done. */
export async function ingressCommand(
  { dir, place, listenFds }: Extract<Command, { kind: "ingress" }>,
  until: AbortSignal,
): Promise<void> {
  const { enrolled, keys } = await Identity.open(dir);
  if (enrolled === null) throw new Error("this folder is not enrolled: there is no region to serve");
  if (listenFds === undefined) await claimPidFile(dir, INGRESS_PID_FILE);
  const log = pino({ base: { part: "ingress", node: enrolled.node } });
  const handedOver = Promise.withResolvers<"handed over">();
  const ingress = await runIngress({
    ...{ dir, ...place, node: enrolled.node, signKey: keys.signKey, log, version: AGENT_VERSION },
    ...(listenFds === undefined ? {} : { listenFds }),
    handedOver: () => handedOver.resolve("handed over"),
  });
  if (listenFds !== undefined) {
    await takePidFile(dir, INGRESS_PID_FILE);
    sayServes();
  }
  const told = new Promise<"told">((resolve) => until.addEventListener("abort", () => resolve("told")));
  const patiently = (await Promise.race([told, handedOver.promise])) === "handed over";
  const own = patiently ? `${INGRESS_LEAVING_PREFIX}${process.pid}` : INGRESS_PID_FILE;
  if (patiently) await takePidFile(dir, own);
  else await rm(join(dir, own), { force: true });
  const closed = ingress.close({ patiently });
  // Told to end while it drains patiently: not even that is waited for.
  await (patiently ? Promise.race([closed, told]) : closed);
  if (patiently) await rm(join(dir, own), { force: true });
}
