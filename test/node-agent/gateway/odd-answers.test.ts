// The corpus of odd answers through a real gateway, whole and cut at every byte: what the visitor gets, and that the next
// visitor gets nothing of it.
import type { Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { answers, type AnswerCase, type AnswerOutcome } from "./corpus/answers.ts";
import { Served } from "./served.ts";
import { eventually, send, sleep, tcpApp } from "./upstreams.ts";

let served: Served;
let pass: string;

beforeAll(async () => {
  served = await Served.start({ upstreamIdleUnsafeMs: 4_000 });
  await served.serve(
    await tcpApp((socket) => {
      let asked = "";
      // Or the system keeps what comes late until the next request acknowledges what came before.
      socket.setNoDelay(true);
      socket.on("data", (bytes: Buffer) => {
        asked += bytes.toString("latin1");
        if (!asked.endsWith("\r\n\r\n")) return;
        const path = asked.split(" ", 2)[1] ?? "";
        asked = "";
        void answer(socket, path);
      });
    }),
  );
  pass = await served.pass();
});
afterAll(() => served.stop());

/** path: `/<case>/<cut, or 0>`, or `/probe`. */
async function answer(socket: Socket, path: string): Promise<void> {
  if (path === "/probe") return void socket.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nprobe");
  const [, index, cut] = path.split("/").map(Number) as [number, number, number];
  const { bytes, beyond, ends } = answers[index] as AnswerCase;
  if (cut > 0) {
    socket.write(bytes.slice(0, cut), "latin1");
    await sleep(2);
  }
  socket.write(bytes.slice(cut) + beyond, "latin1");
  if (ends) socket.end();
}

async function outcomeOf(index: number, cut: number): Promise<AnswerOutcome> {
  const { method } = answers[index] as AnswerCase;
  const headers = { "berth-ticket": `${pass} 9 - - - shop.test` };
  try {
    const got = await send(served.gateway.port, { method, path: `/${index}/${cut}`, headers });
    if (got.headers["berth-gateway-error"] === undefined) return { kind: "passes", status: got.status, body: got.body };
    expect(got).toMatchObject({ status: 502, headers: { "berth-gateway-error": "upstream_reset" } });
    return { kind: "refused" };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ECONNRESET") throw error;
    return { kind: "broken" };
  } finally {
    expect(await send(served.gateway.port, { path: "/probe", headers })).toMatchObject({ status: 200, body: "probe" });
  }
}

test.each(answers.map(({ name, outcome }, index) => [name, index, outcome] as const))(
  "%s",
  async (_name, index, outcome) => {
    expect(await outcomeOf(index, 0)).toEqual(outcome);
  },
);

test.each(
  answers.flatMap(({ name, bytes, beyond }, index) => (beyond === "" ? [] : [[name, index, bytes.length] as const])),
)("%s, which comes while the connection is idle, reaches nobody", async (_name, index, length) => {
  // Beyond this no proxy can go: once another request is out on the connection, what comes is taken for its answer.
  const headers = { "berth-ticket": `${pass} 9 - - - shop.test` };
  const { method, outcome } = answers[index] as AnswerCase;
  const got = await send(served.gateway.port, { method, path: `/${index}/${length}`, headers });
  expect({ kind: "passes", status: got.status, body: got.body }).toEqual(outcome);
  await sleep(30);
  expect(await send(served.gateway.port, { path: "/probe", headers })).toMatchObject({ status: 200, body: "probe" });
});

test("come out the same, wherever their bytes are cut in two", { timeout: 120_000 }, async () => {
  const wrong: unknown[] = [];
  const waiting = answers.flatMap(({ bytes }, index) =>
    Array.from({ length: bytes.length - 1 }, (_, at) => at + 1)
      .filter((cut) => bytes.length < 1_000 || cut < 150 || cut > bytes.length - 50)
      .map((cut) => ({ index, cut })),
  );
  const worker = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { name, outcome } = answers[next.index] as AnswerCase;
      const got = await outcomeOf(next.index, next.cut).catch((error: unknown) => String(error));
      if (JSON.stringify(got) !== JSON.stringify(outcome)) wrong.push({ name, cut: next.cut, got });
    }
  };
  await Promise.all(Array.from({ length: 32 }, worker));
  expect(wrong).toEqual([]);
  const open = await eventually(
    async () => (await served.gateway.counters()).instances[0]?.open,
    (count) => count === 0,
  );
  expect(open).toBe(0);
});
