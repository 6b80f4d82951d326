// core/restore: a Region made from a backup knows its nodes, and repeats no number that anybody may have seen.
import { expect, it } from "vitest";
import { RESTORE_SKIP } from "../../../contracts/backup.ts";
import { restoredRegion } from "../../../core/restore/region.ts";

it("keeps which node is in which cell, and numbers events and snapshots above all that was seen", () => {
  const node = { table: "nodes", key: "n", value: { cell: "eu.0" } };
  const rows = [
    node,
    { table: "cells", key: "eu.0", value: { cell: "eu.0", nodes: 1 } },
    { table: "snapshots", key: "current", value: { version: 12, digest: "d", atMs: 5 } },
    { table: "upgradeCounters", key: "counters", value: { eventSeq: 3, deliveredSeq: 2, other: 1 } },
    { table: "upgradeEvents", key: "3", value: {} },
  ];
  expect(restoredRegion(rows, 9_000)).toEqual([
    node,
    { table: "snapshots", key: "current", value: { version: 12 + RESTORE_SKIP, digest: "", atMs: 0 } },
    { table: "upgradeCounters", key: "counters", value: { eventSeq: 9_000, deliveredSeq: 9_000, other: 1 } },
  ]);
});
