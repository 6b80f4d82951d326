// Objects by name for the operator's backup: their pages out as lines, and into empty ones.
import type { LoadRequest, ObjectPage, ObjectRef } from "../../../contracts/backup.ts";
import type { AppId, CellName, RegionName } from "../../../contracts/ids.ts";
import { assertNever } from "../../../core/step.ts";
import type { CopyRpc } from "../../../durable-objects/rpc.ts";
import type { ControlEnv } from "../env.ts";
import { fail } from "../http/problem.ts";
import { unwrap } from "../http/respond.ts";

function objectOf(env: ControlEnv, { kind, name }: ObjectRef): CopyRpc {
  switch (kind) {
    case "app":
      return env.APP.getByName(name as AppId);
    case "cell":
      return env.CELL.getByName(name as CellName);
    case "region":
      return env.REGION.getByName(name as RegionName);
    case "host":
      return env.HOST.getByName(name);
    default:
      return assertNever(kind);
  }
}

/** A copy that was lost between two pages (its object was reset) is made anew this often. */
const COPIES_MAX = 5;
/** Objects asked at the same time: their answers are held until it is their turn. */
const AT_ONCE = 8;

/** The pages as lines. What fails ends the stream with an error, so that the reader sees fewer objects than it asked for. */
export function dumpObjects(env: ControlEnv, refs: readonly ObjectRef[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const waiting = [...refs];
  const under: Promise<ObjectPage[]>[] = [];
  const next = () => {
    const ref = waiting.shift();
    if (ref === undefined) return;
    const copied = copyOf(env, ref);
    copied.catch(() => undefined);
    under.push(copied);
  };
  for (let at = 0; at < AT_ONCE; at += 1) next();
  return new ReadableStream({
    async pull(controller) {
      const copied = under.shift();
      if (copied === undefined) return controller.close();
      next();
      for (const page of await copied) controller.enqueue(encoder.encode(`${JSON.stringify(page)}\n`));
    },
  });
}

async function copyOf(env: ControlEnv, ref: ObjectRef): Promise<ObjectPage[]> {
  for (let tries = 1; ; tries += 1) {
    const pages: ObjectPage[] = [];
    for (let copy: string | null = null; ;) {
      const answer = await objectOf(env, ref).dump({ copy, page: pages.length });
      if (!answer.ok && answer.failure.code === "conflict" && tries < COPIES_MAX) break;
      if (!answer.ok) throw new Error(`${ref.kind} ${ref.name}: ${answer.failure.message}`);
      const { value } = answer;
      pages.push({
        ...ref,
        layout: value.layout,
        rows: value.rows,
        page: pages.length,
        pages: value.pages,
        text: value.text,
      });
      copy = value.copy;
      if (pages.length === value.pages) return pages;
    }
  }
}

/** In the order given: the pages of one object follow on each other. */
export async function loadObjects(env: ControlEnv, { backup, pages }: LoadRequest): Promise<void> {
  const byObject = new Map<string, LoadRequest["pages"]>();
  for (const page of pages) {
    const key = `${page.kind}/${page.name}`;
    byObject.set(key, [...(byObject.get(key) ?? []), page]);
  }
  const objects = [...byObject.values()];
  for (let from = 0; from < objects.length; from += AT_ONCE) {
    await Promise.all(objects.slice(from, from + AT_ONCE).map((own) => loadObject(env, backup, own)));
  }
}

async function loadObject(env: ControlEnv, backup: string, pages: LoadRequest["pages"]): Promise<void> {
  for (const { kind, name, page, pages: of, layout, text, eventSeq, apps } of pages) {
    const loaded = await objectOf(env, { kind, name }).load({
      ...{ backup, page, pages: of, layout, text, eventSeq },
      ...(apps ? { apps } : {}),
    });
    if (!loaded.ok && loaded.failure.code === "conflict")
      fail("conflict", `${kind} ${name}: ${loaded.failure.message}`);
    unwrap(loaded);
  }
}
