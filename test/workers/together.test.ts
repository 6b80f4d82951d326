// Requests that ask together: one call at a time, each request its own share, and nobody lost for what happens to another.
import { expect, it } from "vitest";
import { DatabaseUnavailable } from "../../db/errors.ts";
import { Together, type TogetherOptions } from "../../workers/control/http/together.ts";

interface Call {
  readonly items: readonly string[];
  readonly answer: () => void;
  readonly fail: (error: Error) => void;
}

/** Calls that are answered by hand; a share is its item in upper case. */
function stage({ itemsMax = 10, patienceMs = 10_000 } = {}) {
  const calls: Call[] = [];
  const kept: Promise<unknown>[] = [];
  const together = new Together<string, string>();
  const options: TogetherOptions<string, string> = {
    ask: (items) =>
      new Promise((resolve, reject) =>
        calls.push({ items, answer: () => resolve(items.map((item) => item.toUpperCase())), fail: reject }),
      ),
    ...{ itemsMax, patienceMs },
  };
  const living = { waitUntil: (promise: Promise<unknown>) => void kept.push(promise) };
  const take = (item: string, key = "k") => together.take(key, item, living, options);
  const asked = () => calls.map(({ items }) => items.join(""));
  const settled = async () => {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  };
  return { calls, kept, take, asked, settled };
}

it("asks at once for whoever comes alone, and for all that came meanwhile with the next call", async () => {
  const { calls, take, asked, settled } = stage();
  const all = ["a", "b", "c", "d"].map((item) => take(item));
  const other = take("x", "elsewhere");
  expect(asked()).toEqual(["a", "x"]);
  calls[0]!.answer();
  calls[1]!.answer();
  expect(await all[0]).toBe("A");
  expect(await other).toBe("X");
  await settled();
  expect(asked()).toEqual(["a", "x", "bcd"]);
  calls[2]!.answer();
  expect(await Promise.all(all)).toEqual(["A", "B", "C", "D"]);
  const last = take("e");
  calls[3]!.answer();
  expect(await last).toBe("E");
});

it("asks for so many at most, first come first", async () => {
  const { calls, take, asked, settled } = stage({ itemsMax: 2 });
  const all = ["a", "b", "c", "d", "e"].map((item) => take(item));
  for (let call = 0; call < 3; call += 1) {
    calls[call]!.answer();
    await settled();
  }
  expect(asked()).toEqual(["a", "bc", "de"]);
  expect(await Promise.all(all)).toEqual(["A", "B", "C", "D", "E"]);
});

it("fails nobody for what another one asked", async () => {
  const { calls, take, asked, settled } = stage();
  const all = ["a", "b", "c"].map((item) => take(item));
  const outcomes = Promise.allSettled(all);
  calls[0]!.answer();
  await settled();
  calls[1]!.fail(new Error("one of these cannot be"));
  await settled();
  expect(asked()).toEqual(["a", "bc", "b", "c"]);
  calls[2]!.fail(new Error("b cannot be"));
  calls[3]!.answer();
  expect((await outcomes).map((one) => (one.status === "fulfilled" ? one.value : String(one.reason)))).toEqual([
    ...["A", "Error: b cannot be", "C"],
  ]);
});

it("asks a database that is away once, for all", async () => {
  const { calls, take, asked, settled } = stage();
  const outcomes = Promise.allSettled(["a", "b", "c"].map((item) => take(item)));
  calls[0]!.answer();
  await settled();
  calls[1]!.fail(new DatabaseUnavailable(new Error("refused")));
  expect((await outcomes).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
  expect(asked()).toEqual(["a", "bc"]);
});

it("lets nobody wait for a call that never ends, and is kept alive until each had its turn", async () => {
  const { calls, kept, take, asked } = stage({ patienceMs: 30 });
  void take("a");
  const late = take("b");
  await expect.poll(asked, { timeout: 60_000 }).toEqual(["a", "b"]);
  calls[1]!.answer();
  expect(await late).toBe("B");
  expect(kept).toHaveLength(2);
  // Nor does whoever comes after it.
  void take("c");
  expect(asked()).toEqual(["a", "b", "c"]);
});
