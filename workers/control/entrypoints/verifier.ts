// The proof behind `completed`: every replica of the new release answered through the edge's own route, ticket and fetch.
import { WorkerEntrypoint } from "cloudflare:workers";
import type { InstanceId } from "../../../contracts/ids.ts";
import type { SmokeCheck } from "../../../contracts/rollout-plan.ts";
import type { Endpoint, Route } from "../../../contracts/route.ts";
import type { AppRpc, VerifierRpc } from "../../../durable-objects/rpc.ts";
import { fetchInstance } from "../../edge/fetch-instance.ts";
import { ticketFor } from "../../edge/tickets.ts";
import type { ControlEnv } from "../env.ts";
import { keyedEnv, type KeyedEnv } from "../keys/keyed.ts";
import { ask, inBatches } from "../http/ask.ts";

/** A replica that was just found ready answers well within; the App asks again until its patience ends. */
const ANSWER_TIMEOUT_MS = 5_000;
/** About as many as may wait for headers at once in one invocation. */
const ASKED_AT_ONCE = 6;

type Verdict = Parameters<AppRpc["verified"]>[0]["results"][number];

export class Verifier extends WorkerEntrypoint<ControlEnv> implements VerifierRpc {
  async verify({ app, rollout, route, instances, path, smoke }: Parameters<VerifierRpc["verify"]>[0]): Promise<void> {
    const endpoints = endpointsOf(route);
    const results = await inBatches(instances, ASKED_AT_ONCE, (instance) =>
      this.#answers(route, endpoints, { instance, path, smoke }),
    );
    await ask(() => this.env.APP.getByName(app).verified({ rollout, results }), { repeatable: true });
  }

  async #answers(
    route: Route,
    endpoints: ReadonlyMap<InstanceId, Endpoint>,
    { instance, path, smoke }: { instance: InstanceId; path: string; smoke: SmokeCheck | undefined },
  ): Promise<Verdict> {
    const endpoint = endpoints.get(instance);
    if (endpoint === undefined) return { instance, generation: 1, ok: false, message: "the route does not name it" };
    const { generation, node } = endpoint;
    try {
      const place = { team: route.team, app: route.app, instance, generation, node };
      const ticket = await ticketFor(
        { key: (await this.#keyed()).TICKET_SIGNING_KEY, ...place, use: "verify" },
        Date.now(),
      );
      const host = `${route.name}.${this.env.BASE_DOMAIN}`;
      const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
      const init = { headers: new Headers(), redirect: "manual", signal } as const;
      const result = await fetchInstance({ endpoint, ticket }, { init, path, host });
      if (result.kind === "answered") {
        const { status, body } = result.response;
        await body?.cancel();
        if (smoke && (status < smoke.statusMin || status > smoke.statusMax)) {
          const wanted = `${smoke.statusMin} to ${smoke.statusMax}`;
          return { instance, generation, ok: false, message: `${path} answered ${status}, not ${wanted}`, smoke: true };
        }
        return { instance, generation, ok: true, message: `answered ${status}` };
      }
      if (result.kind === "gateway_error") await result.response.body?.cancel();
      return { instance, generation, ok: false, message: whyNot(result) };
    } catch {
      return { instance, generation, ok: false, message: `no answer within ${ANSWER_TIMEOUT_MS} ms` };
    }
  }

  #keyed(): Promise<KeyedEnv> {
    return keyedEnv(this.env, (work) => this.ctx.waitUntil(work));
  }
}

function whyNot(result: Exclude<Awaited<ReturnType<typeof fetchInstance>>, { kind: "answered" }>): string {
  switch (result.kind) {
    case "gone":
      return "its gateway does not have it";
    case "gateway_error":
      return `its gateway answered ${result.code}`;
    case "unreachable":
      return `its gateway cannot be reached: ${result.message}`;
  }
}

function endpointsOf({ state }: Route): ReadonlyMap<InstanceId, Endpoint> {
  if (state.kind !== "serving") return new Map();
  return new Map(
    state.releases.flatMap((release) => release.endpoints).map((endpoint) => [endpoint.instance, endpoint]),
  );
}
