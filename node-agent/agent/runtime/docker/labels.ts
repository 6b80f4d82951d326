// The labels by which containers are known: they are the truth about what runs here.
import type { DesiredInstance } from "../../../../contracts/desired.ts";
import { AppId, InstanceId, type NodeId, ReleaseId, TeamId } from "../../../../contracts/ids.ts";

export const LABEL = {
  node: "berth.node",
  instance: "berth.instance",
  generation: "berth.generation",
  app: "berth.app",
  team: "berth.team",
  release: "berth.release",
  port: "berth.port",
  digest: "berth.digest",
  singleton: "berth.singleton",
  /** Of a network: containers get their addresses from the agent. */
  addresses: "berth.addresses",
} as const;

export function labelsOf(node: NodeId, desired: DesiredInstance, digest: string | null): Record<string, string> {
  return {
    [LABEL.node]: node,
    [LABEL.instance]: desired.instance,
    [LABEL.generation]: String(desired.generation),
    [LABEL.app]: desired.app,
    [LABEL.team]: desired.team,
    [LABEL.release]: desired.release,
    [LABEL.port]: String(desired.port),
    ...(digest === null ? {} : { [LABEL.digest]: digest }),
    ...(desired.singleton === null ? {} : { [LABEL.singleton]: desired.singleton }),
  };
}

export interface Labelled {
  readonly instance: InstanceId;
  readonly generation: number;
  readonly app: AppId;
  readonly team: TeamId;
  readonly release: ReleaseId;
  readonly port: number;
  readonly digest: string | null;
}

/** Null when labels are missing or not ours to understand. */
export function readLabels(labels: Readonly<Record<string, string>>): Labelled | null {
  const instance = InstanceId.safeParse(labels[LABEL.instance]);
  const app = AppId.safeParse(labels[LABEL.app]);
  const team = TeamId.safeParse(labels[LABEL.team]);
  const release = ReleaseId.safeParse(labels[LABEL.release]);
  const generation = Number(labels[LABEL.generation]);
  const port = Number(labels[LABEL.port]);
  if (!instance.success || !app.success || !team.success || !release.success) return null;
  if (!Number.isSafeInteger(generation) || !Number.isSafeInteger(port)) return null;
  return {
    instance: instance.data,
    generation,
    app: app.data,
    team: team.data,
    release: release.data,
    port,
    digest: labels[LABEL.digest] ?? null,
  };
}

/** One name per instance and generation: the Engine itself refuses a second container for it. */
export function containerName({ instance, generation }: { instance: string; generation: number }): string {
  return `berth-${instance}-${generation}`;
}

/** Of its node alone: the Engine lets two networks have one name, so agents that share an Engine must not share names. */
export function networkName(node: string, team: string): string {
  return `berth-${node}-${team}`;
}
