// Which runtime this node has: a Docker Engine where one answers, else detached processes.
import Docker from "dockerode";
import type { RuntimeKind } from "../../../contracts/agent-protocol.ts";
import { DockerRuntime, findEngine } from "./docker/docker-runtime.ts";
import { processPlatform, ProcessRuntime } from "./process/process-runtime.ts";
import type { Runtime, RuntimePlace } from "./runtime.ts";

export interface RuntimeChoice {
  readonly kind: RuntimeKind;
  readonly platform: string;
  readonly open: (place: RuntimePlace) => Runtime;
}

/**
 * enrolled: what this node told the control plane that it has; an Engine that does not answer yet is waited for then, and
 * never replaced by processes. Throws when an Engine is demanded for the first time and none answers.
 */
export async function chooseRuntime(
  wanted: RuntimeKind | "auto",
  enrolled: { readonly kind: RuntimeKind; readonly platform: string } | null,
): Promise<RuntimeChoice> {
  const kind = wanted === "auto" ? (enrolled?.kind ?? "auto") : wanted;
  // Known already, so that nothing waits for an Engine that may be away.
  if (kind === "docker" && enrolled?.kind === "docker") {
    const { platform } = enrolled;
    return { kind, platform, open: (place) => new DockerRuntime({ docker: new Docker(), platform }, place) };
  }
  const engine = kind === "process" ? null : await findEngine();
  if (engine !== null) {
    return { kind: "docker", platform: engine.platform, open: (place) => new DockerRuntime(engine, place) };
  }
  if (kind === "docker") throw new Error("no Docker Engine answers; is it running, and may this user use its socket?");
  return { kind: "process", platform: processPlatform(), open: (place) => new ProcessRuntime(place) };
}
