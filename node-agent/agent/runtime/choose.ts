// Which runtime this node has: a Docker Engine where one answers, else detached processes.
import type { NodeId } from "../../../contracts/ids.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import type { Bundles } from "./bundles.ts";
import { DockerRuntime, findEngine } from "./docker/docker-runtime.ts";
import { processPlatform, ProcessRuntime } from "./process/process-runtime.ts";
import type { Runtime } from "./runtime.ts";

export interface RuntimePlace {
  readonly dir: string;
  readonly node: NodeId;
  readonly limits: AgentLimits;
  readonly bundles: Bundles;
}

export interface RuntimeChoice {
  readonly kind: Runtime["kind"];
  readonly platform: string;
  readonly open: (place: RuntimePlace) => Runtime;
}

/** Throws when an Engine is demanded and none answers. */
export async function chooseRuntime(wanted: "docker" | "process" | "auto"): Promise<RuntimeChoice> {
  const engine = wanted === "process" ? null : await findEngine();
  if (engine !== null) {
    return { kind: "docker", platform: engine.platform, open: (place) => new DockerRuntime(engine, place) };
  }
  if (wanted === "docker")
    throw new Error("no Docker Engine answers; is it running, and may this user use its socket?");
  return { kind: "process", platform: processPlatform(), open: (place) => new ProcessRuntime(place) };
}
