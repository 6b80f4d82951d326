// The second opinion on a silent node: does its gateway still answer?
import { WorkerEntrypoint } from "cloudflare:workers";
import type { GatewayProbeRpc } from "../../../durable-objects/rpc.ts";
import type { ControlEnv } from "../env.ts";

const PROBE_TIMEOUT_MS = 1_000;

export class GatewayProbe extends WorkerEntrypoint<ControlEnv> implements GatewayProbeRpc {
  /** Never throws. Any answer is one: what matters is that somebody is at home. */
  async probe({ gatewayUrl }: Parameters<GatewayProbeRpc["probe"]>[0]): Promise<{ answered: boolean }> {
    try {
      const answer = await fetch(`${gatewayUrl}/.berth/health`, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
      await answer.body?.cancel();
      return { answered: true };
    } catch {
      return { answered: false };
    }
  }
}
