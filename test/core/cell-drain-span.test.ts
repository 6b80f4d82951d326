// core: how long a drain lasts, from the App that decides it to the document of the node whose gateway ends WebSockets by it.
import { expect, it } from "vitest";
import { documentOf } from "../../core/cell/document.ts";
import { insId, nodeId } from "./bench-object.ts";
import { newest, release, serving, up } from "./app-rolling.ts";
import { cellOf, placed, update } from "./cell-bench.ts";

it("is told with the drain, and forgotten when the instance is called back", () => {
  const cell = cellOf(1);
  placed(cell, 1);
  const span = { sinceMs: cell.nowMs, untilMs: cell.nowMs + 90_000 };
  const named = () => documentOf(cell.tables, nodeId(0))?.instances[0];
  update(cell, { drain: [insId(1)], drainSpans: [span] });
  expect(named()).toMatchObject({ intent: "drain", drainSpan: span });
  update(cell, { run: [insId(1)] });
  expect(named()).toMatchObject({ intent: "run" });
  expect(named()?.drainSpan).toBeUndefined();
  // An App of an older run says none.
  update(cell, { drain: [insId(1)] });
  expect(named()).toMatchObject({ intent: "drain" });
  expect(named()?.drainSpan).toBeUndefined();
});

it("is what the App decided", () => {
  const app = serving(1);
  const [old] = app.of(1);
  release(app);
  up(app, 2);
  app.answerVerify();
  const asked = app.drain("call_cell").flatMap(({ request: { kind, request } }) => {
    return kind === "update" ? [[request.drain, request.drainSpans]] : [];
  });
  expect(newest(app).phase.kind).toBe("completed");
  const row = app.tables.instances.get(old!)!;
  const { sinceMs, untilMs } = row.phase as { sinceMs: number; untilMs: number };
  expect(untilMs - sinceMs).toBe(app.limits.drainMs);
  expect(asked).toContainEqual([[old], [{ sinceMs, untilMs }]]);
});
