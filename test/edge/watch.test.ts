// What an isolate keeps about requests that wait for late answers, over the time that it lives.
import { expect, it } from "vitest";
import type { NodeId } from "../../contracts/ids.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import { Watches } from "../../workers/edge/watch.ts";

const node = (n: number) => `node_${n}` as NodeId;
const begin = (watches: Watches, n: number, nowMs: number) =>
  watches.begin(
    node(n),
    nowMs,
    async () => "answers",
    () => undefined,
  );

it("forgets nodes for which nobody waits any more, and keeps those for which somebody does", async () => {
  const { waitForgottenMs, suspectAfterMs } = ROUTING_LIMITS;
  const watches = new Watches();
  const startMs = 10 * waitForgottenMs;
  for (let n = 1; n <= 1_000; n += 1) begin(watches, n, startMs);
  expect(watches.size).toBe(1_000);
  const laterMs = startMs + waitForgottenMs - 2 * suspectAfterMs;
  let answer = (_text: string): void => undefined;
  const waiting = begin(watches, 1, laterMs).over(new Promise<string>((resolve) => (answer = resolve)));
  const prunedAtMs = startMs + waitForgottenMs;
  begin(watches, 2_000, prunedAtMs);
  expect(watches.size).toBe(2);
  expect(watches.current(node(2), prunedAtMs)).toBeNull();
  answer("late");
  expect(await waiting).toBe("late");
  begin(watches, 2_001, prunedAtMs + waitForgottenMs);
  expect(watches.size).toBe(1);
});
