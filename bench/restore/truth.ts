// What was there before the loss; kept in a file between two pieces of the benchmark.
import { readFileSync, writeFileSync } from "node:fs";
import type { ObjectRef } from "../../contracts/backup.ts";
import type { Objects, Rows } from "./rows.ts";

export interface Truth {
  readonly refs: readonly ObjectRef[];
  readonly rows: Rows;
  readonly objects: Objects;
  readonly backupS: number;
}

type Nested<Value> = [string, [string, Value][]][];
const listed = <Value>(maps: ReadonlyMap<string, ReadonlyMap<string, Value>>): Nested<Value> =>
  [...maps].map(([name, map]) => [name, [...map]]);
const mapped = <Value>(lists: Nested<Value>): Map<string, Map<string, Value>> =>
  new Map(lists.map(([name, list]) => [name, new Map(list)]));

export function writeTruth(path: string, { refs, rows, objects, backupS }: Truth): void {
  writeFileSync(path, JSON.stringify({ refs, rows: listed(rows), objects: listed(objects), backupS }));
}

export function readTruth(path: string): Truth {
  const { refs, rows, objects, backupS } = JSON.parse(readFileSync(path, "utf8")) as {
    refs: ObjectRef[];
    rows: Nested<number>;
    objects: Nested<string>;
    backupS: number;
  };
  return { refs, rows: mapped(rows), objects: mapped(objects), backupS };
}
