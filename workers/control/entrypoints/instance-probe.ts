// The second opinion on instances that an edge could not reach: each is asked through the edge's own ticket and fetch code.
import { WorkerEntrypoint } from "cloudflare:workers";
import { healthUrl } from "../../../contracts/relay.ts";
import type { InstanceProbeRpc } from "../../../durable-objects/rpc.ts";
import { fetchInstance } from "../../edge/fetch-instance.ts";
import { ticketFor } from "../../edge/tickets.ts";
import type { ControlEnv } from "../env.ts";
import { keyedEnv, type KeyedEnv } from "../keys/keyed.ts";
import { inBatches } from "../http/ask.ts";

type Input = Parameters<InstanceProbeRpc["probe"]>[0];
type Opinion = Awaited<ReturnType<InstanceProbeRpc["probe"]>>["results"][number];

/** As long as an edge waits for a head before it doubts the node; then its gateway gets this long to show that it is there. */
const ANSWER_TIMEOUT_MS = 1_000;
const GATEWAY_TIMEOUT_MS = 500;
/** About as many as may wait for headers at once in one invocation. */
const ASKED_AT_ONCE = 6;

export class InstanceProbe extends WorkerEntrypoint<ControlEnv> implements InstanceProbeRpc {
  async probe(input: Input): Promise<{ results: Opinion[] }> {
    const results = await inBatches(input.targets, ASKED_AT_ONCE, (target) => this.#opinion(input, target));
    return { results };
  }

  async #opinion({ team, app, name }: Input, { endpoint, path }: Input["targets"][number]): Promise<Opinion> {
    const { instance, generation, node, gatewayUrl } = endpoint;
    const says = (ok: boolean, message: string): Opinion => ({ instance, generation, ok, message });
    const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
    try {
      const wish = {
        key: (await this.#keyed()).TICKET_SIGNING_KEY,
        team,
        app,
        instance,
        generation,
        node,
        use: "verify" as const,
      };
      const ticket = await ticketFor(wish, Date.now());
      const host = `${name}.${this.env.BASE_DOMAIN}`;
      const init = { headers: new Headers(), redirect: "manual", signal } as const;
      const result = await fetchInstance({ endpoint, ticket }, { init, path, host });
      switch (result.kind) {
        case "answered":
          await result.response.body?.cancel();
          return says(true, `it answered ${result.response.status}`);
        case "gone":
          // Not unreachable: its gateway waits for the agent's word, or the App's own route is about to change.
          return says(true, "its gateway does not have it");
        case "gateway_error":
          await result.response.body?.cancel();
          return says(!ABOUT_THE_APP.has(result.code), `its gateway answered ${result.code}`);
        case "unreachable":
          if (!signal.aborted) return says(false, `its gateway cannot be reached: ${result.message}`);
      }
    } catch (error) {
      if (!signal.aborted) return says(false, error instanceof Error ? error.message : String(error));
    }
    // Slow is not dead: whether an app that is slow is ready is for its node to judge.
    const there = await gatewayAnswers(healthUrl(gatewayUrl, node));
    return says(there, there ? "it is slow, and its gateway answers" : "neither it nor its gateway answers");
  }

  #keyed(): Promise<KeyedEnv> {
    return keyedEnv(this.env, (work) => this.ctx.waitUntil(work));
  }
}

/** What a gateway says where it cannot get an answer out of the instance. Its other refusals show that it is there. */
const ABOUT_THE_APP: ReadonlySet<string> = new Set(["connect_failed", "upstream_reset"]);

async function gatewayAnswers(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(GATEWAY_TIMEOUT_MS) });
    await answer.body?.cancel();
    return answer.ok;
  } catch {
    return false;
  }
}
