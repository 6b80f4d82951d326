// The second opinion on a silent node: does its gateway still answer?
import { WorkerEntrypoint } from "cloudflare:workers";
import type { GatewayProbeRpc } from "../../../durable-objects/rpc.ts";
import { healthUrl } from "../../../contracts/relay.ts";
import { GATEWAY_ERROR_HEADER } from "../../../contracts/ticket.ts";
import type { ControlEnv } from "../env.ts";

const PROBE_TIMEOUT_MS = 1_000;

export class GatewayProbe extends WorkerEntrypoint<ControlEnv> implements GatewayProbeRpc {
  /** Never throws. Any answer of the node is one: what matters is that somebody is at home. Its relay's word is not the node's. */
  async probe({ node, gatewayUrl }: Parameters<GatewayProbeRpc["probe"]>[0]): Promise<{ answered: boolean }> {
    try {
      const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
      const answer = await fetch(healthUrl(gatewayUrl, node), { redirect: "manual", signal });
      await answer.body?.cancel();
      return { answered: answer.headers.get(GATEWAY_ERROR_HEADER) === null };
    } catch {
      return { answered: false };
    }
  }
}
