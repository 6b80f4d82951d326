// The Worker around the objects under test. Its entrypoints stand where the control Worker's do: they record, and fail on demand.
import { WorkerEntrypoint } from "cloudflare:workers";
import type { Result } from "../../contracts/failures.ts";
import type { GatewayProbeRpc, InstanceProbeRpc, OutboxSinkRpc, VerifierRpc } from "../../durable-objects/rpc.ts";
import { App, Cell, Host, Region } from "../../durable-objects/index.ts";
import { letFail } from "./failing.ts";
import { recorded } from "./recorded.ts";

export { App, Cell, Host, RateLimit, Region } from "../../durable-objects/index.ts";

letFail(App, ["deliver", "counted"]);
letFail(Cell, ["reserve", "commit", "update", "upgrade"]);
letFail(Region, ["cells", "claim", "release", "report"]);
letFail(Host, ["claim", "release"]);

/** Keeps what Postgres would: each source's events, in order, each once. */
export class OutboxSink extends WorkerEntrypoint implements OutboxSinkRpc {
  async accept(input: Parameters<OutboxSinkRpc["accept"]>[0]): Promise<Result<{ lastSeq: number }>> {
    recorded.batches.push(input);
    if (recorded.sink === "throws") throw new Error("the sink fell over");
    if (recorded.sink === "away") return { ok: false, failure: { code: "database_unavailable", message: "away" } };
    const stored = recorded.events.get(input.source) ?? [];
    for (const event of input.events) if (event.seq === stored.length + 1) stored.push(event);
    recorded.events.set(input.source, stored);
    if (recorded.sink === "answer_lost") throw new Error("the answer was lost");
    return { ok: true, value: { lastSeq: stored.length } };
  }
}

export class Verifier extends WorkerEntrypoint implements VerifierRpc {
  async verify(input: Parameters<VerifierRpc["verify"]>[0]): Promise<void> {
    recorded.verifications.push(input);
    if (recorded.verifier === "throws") throw new Error("the verifier fell over");
  }
}

export class GatewayProbe extends WorkerEntrypoint implements GatewayProbeRpc {
  async probe(input: Parameters<GatewayProbeRpc["probe"]>[0]): Promise<{ answered: boolean }> {
    recorded.probes.push(input);
    if (recorded.prober === "throws") throw new Error("the prober fell over");
    return { answered: recorded.prober === "answers" };
  }
}

export class InstanceProbe extends WorkerEntrypoint implements InstanceProbeRpc {
  async probe(input: Parameters<InstanceProbeRpc["probe"]>[0]): ReturnType<InstanceProbeRpc["probe"]> {
    recorded.secondOpinions.push(input);
    if (recorded.secondOpinion === "throws") throw new Error("the prober fell over");
    const ok = recorded.secondOpinion === "answers";
    const results = input.targets.map(({ endpoint: { instance, generation } }) => ({
      instance,
      generation,
      ok,
      message: ok ? "answered 200" : "no answer",
    }));
    return { results };
  }
}

export default {
  fetch(): Response {
    return new Response(null, { status: 404 });
  },
};
