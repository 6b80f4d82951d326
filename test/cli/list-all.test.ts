// The whole list over its pages, from a real server of them; and that one that is too long says so.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { z } from "zod";
import { listAll } from "../../cli/commands/list-all.ts";
import { createApi } from "../../cli/client.ts";
import type { Context } from "../../cli/context.ts";
import { createOutput } from "../../cli/output.ts";

/** Numbers from 0 on, a hundred to a page. */
let pages = 1;
const server = createServer((request, response) => {
  const page = Number(new URL(request.url ?? "/", "http://list.test").searchParams.get("cursor") ?? 0);
  const items = Array.from({ length: 100 }, (_, at) => page * 100 + at);
  const nextCursor = page + 1 < pages ? String(page + 1) : null;
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ items, nextCursor }));
});
beforeEach(() => new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve)));
afterEach(() => new Promise((resolve) => void server.close(resolve)));

async function listed(): Promise<{ items: number[]; notes: string[] }> {
  const notes: string[] = [];
  const apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const context: Context = {
    api: createApi({ apiUrl, token: undefined, team: undefined }),
    out: { ...createOutput({ json: true, tty: false }), note: (text) => void notes.push(text) },
    config: null,
    configPath: "",
    cwd: "",
    interactive: false,
  };
  return { items: await listAll(context, z.int(), "/v1/numbers"), notes };
}

it("gives a list of several pages whole, in its order, and has nothing to say about it", async () => {
  pages = 3;
  const { items, notes } = await listed();
  expect(items).toEqual(Array.from({ length: 300 }, (_, number) => number));
  expect(notes).toEqual([]);
});

it.each([
  [100, []],
  [101, ["There are more: only the first 10000 are shown."]],
])("of a list of %i pages gives 10,000, and says so where it cuts", async (count, said) => {
  pages = count;
  const { items, notes } = await listed();
  expect(items).toHaveLength(10_000);
  expect(notes).toEqual(said);
});
