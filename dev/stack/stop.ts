// The end of a stack, whole or half started: from the top down, whoever depends on another ends before it does.
import type { Networks } from "../network/namespaces.ts";
import type { SupervisedChild } from "./child.ts";
import { endAllMarked } from "./orphans.ts";
import { purgeNodes } from "./recover.ts";

export interface Running {
  readonly stateDir: string;
  readonly stackId: string;
  readonly children: readonly SupervisedChild[];
  readonly networks: Networks | null;
}

/** Gateways and apps too. Throws, after all else has ended, where an app could not be. */
export async function stopAll({ stateDir, stackId, children, networks }: Running): Promise<void> {
  const stop = (matches: (role: string) => boolean) =>
    Promise.all(children.filter(({ role }) => matches(role)).map((child) => child.stop()));
  await stop((role) => role.startsWith("agent:"));
  const remaining = await purgeNodes(stateDir);
  await stop((role) => role === "edge" || role === "control");
  await stop((role) => role === "adapter" || role === "s3");
  await stop((role) => role === "postgres");
  await endAllMarked(stackId);
  await networks?.remove();
  if (remaining.length > 0)
    throw new Error(`apps of ${remaining.join(", ")} could not all be ended; \`npm start -- --fresh\` tries again`);
}
