// The Worker around the Region on the bench: it is the Apps that ask, in the same workerd.
import type { CellName } from "../../../contracts/ids.ts";
import type { CellSummary, NodeKind, Room } from "../../../core/messages.ts";
import { DEFAULT_LIMITS } from "../../../core/limits.ts";
import { Region } from "../../../durable-objects/index.ts";
import type { Run, Told, Way } from "../run.ts";

/** A Region that also hands its list out as objects, as RPC does by itself: what the text is measured against. */
export class BenchRegion extends Region {
  #items: CellSummary[] | null = null;

  async cellObjects(): Promise<{ ok: true; value: { items: CellSummary[] } }> {
    this.#items ??= parse(await this.cells());
    return { ok: true, value: { items: this.#items } };
  }
}

interface BenchEnv {
  readonly REGION: DurableObjectNamespace<BenchRegion>;
}

type Answer = Awaited<ReturnType<Region["cells"]>>;

function parse(answer: Answer): CellSummary[] {
  if (!answer.ok) throw new Error(answer.failure.message);
  return JSON.parse(answer.value.itemsJson) as CellSummary[];
}

/** Of 64 nodes in one rack, each with another room left: as long as a summary gets. */
function summaryOf(region: string, number: number, atMs: number): CellSummary {
  const rooms = Array.from({ length: DEFAULT_LIMITS.summaryRoomsMax }, (_, room): Room => [
    16_000 - room * 250 - number,
    65_536 - room * 1_024,
    1_048_576 - room * 4_096,
    30_000 - room,
    1,
  ]);
  const kind: NodeKind = {
    failureDomain: `rack-${number}`,
    runtime: "docker",
    labels: { disk: "nvme" },
    hostPorts: [],
    rooms,
  };
  const capacity = { cpuMilli: 4_096_000, memoryBytes: 2 ** 45, diskBytes: 2 ** 48, pids: 2_000_000 };
  const free = { ...capacity, cpuMilli: atMs };
  const cell = `${region}.${number}` as CellName;
  const counts = { nodes: 64, readyNodes: 64, capacity, free, largestFree: free };
  return { cell, ...counts, runtimes: ["docker"], kinds: [kind], atMs };
}

export default {
  async fetch(request: Request, env: BenchEnv): Promise<Response> {
    const run = await request.json<Run>();
    const region = env.REGION.getByName(run.region);
    if (run.kind === "fill") {
      for (let number = 0; number < run.cells; number += 1) {
        await region.report({ summary: summaryOf(run.region, number, 1) });
      }
      return Response.json(null);
    }
    return Response.json(await burst(env, run));
  },
};

async function burst(env: BenchEnv, { region: name, way, apps, reports }: Extract<Run, { kind: "burst" }>) {
  const region = env.REGION.getByName(name);
  const beganMs = Date.now();
  const reporting = Array.from({ length: reports }, (_, number) =>
    region.report({ summary: summaryOf(name, number, beganMs) }),
  );
  const latenciesMs: number[] = [];
  const one = async (): Promise<void> => {
    const cells = await ask(region, way);
    if (cells === 0) throw new Error("the Region knows no cells");
    latenciesMs.push(Date.now() - beganMs);
  };
  await Promise.all(Array.from({ length: apps }, one));
  const tookMs = Date.now() - beganMs;
  await Promise.all(reporting);
  const answer = await region.cells();
  const answerBytes = answer.ok ? answer.value.itemsJson.length : 0;
  return { tookMs, latenciesMs, answerBytes } satisfies Told;
}

async function ask(region: DurableObjectStub<BenchRegion>, way: Way): Promise<number> {
  if (way === "objects") return (await region.cellObjects()).value.items.length;
  const answer = (await region.cells()) as Answer;
  if (way === "parsed") return parse(answer).length;
  return answer.ok ? answer.value.itemsJson.length : 0;
}
