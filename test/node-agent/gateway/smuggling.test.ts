// The corpus through a real gateway, whole and cut at every byte: what the visitor is answered and what the app saw, exactly.
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bodies, PROBE, type RequestCase } from "./corpus/requests.ts";
import { heads } from "./corpus/heads.ts";
import { Served } from "./served.ts";
import { eventually, httpApp, sleep } from "./upstreams.ts";

let served: Served;
let pass: string;
let runs = 0;
/** By request id: what the app saw whole. */
const seen = new Map<string, string[]>();
/** What an app, which is a reader of its own, found malformed: nothing ever. */
const brokenForTheApp: string[] = [];

beforeAll(async () => {
  served = await Served.start();
  const app = await httpApp((asked, response) => {
    const note = (body: string): void => {
      const id = String(asked.headers["x-request-id"]);
      seen.set(id, [...(seen.get(id) ?? []), `${asked.method} ${asked.url} ${body}`]);
    };
    if (asked.url === "/early") {
      note("early");
      return void response.end("ok");
    }
    let body = "";
    asked.setEncoding("latin1").on("data", (part: string) => (body += part));
    asked.on("end", () => {
      note(`[${body}]`);
      response.end("ok");
    });
  });
  app.server.on("clientError", (error: NodeJS.ErrnoException, socket: { destroy(): void }) => {
    // A request that the gateway refuses in the middle of its body breaks off at the app too.
    if (error.code !== "ECONNRESET" && error.code !== "HPE_INVALID_EOF_STATE") brokenForTheApp.push(String(error));
    socket.destroy();
  });
  await served.serve(app);
  pass = await served.pass();
});
afterAll(() => served.stop());

interface Outcome {
  readonly answers: readonly number[];
  readonly seen: readonly string[];
  readonly closed: boolean;
}

/** Sends a case and the probe, the first `cutAt` bytes by themselves, and reads until the gateway closes. */
async function outcomeOf(bytes: string, cutAt: number | null): Promise<Outcome> {
  const id = `run-${runs++}`;
  const filled = bytes.replaceAll("{T}", ticketLine(id));
  const { text, closed } = await exchange(cutAt === null ? [filled] : [filled.slice(0, cutAt), filled.slice(cutAt)]);
  const answers = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
  return { answers, seen: seen.get(id) ?? [], closed };
}

const ticketLine = (id: string): string => `berth-ticket: ${pass} - - ${id} - shop.test`;

function exchange(pieces: readonly string[]): Promise<{ text: string; closed: boolean }> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ port: served.gateway.port, host: "127.0.0.1", noDelay: true });
    const done = (closed: boolean): void => {
      socket.destroy();
      resolve({ text, closed });
    };
    socket.setEncoding("latin1").on("data", (part: string) => (text += part));
    socket.on("end", () => done(true)).on("error", () => done(true));
    socket.setTimeout(60_000, () => done(false));
    void (async () => {
      for (const [index, piece] of pieces.entries()) {
        if (index > 0) await sleep(2);
        if (!socket.destroyed) socket.write(piece, "latin1");
      }
    })();
  });
}

const expected = ({ answers, seen }: RequestCase): Outcome => ({ answers, seen, closed: true });

describe.each([
  ["bodies", bodies],
  ["heads and connections", heads],
])("%s", (_name, cases) => {
  test.each(cases.map((one) => [one.name, one] as const))("%s", async (_case, one) => {
    expect(await outcomeOf(one.bytes + PROBE, null)).toEqual(expected(one));
  });

  test("come out the same, wherever their bytes are cut in two", { timeout: 120_000 }, async () => {
    const wrong: unknown[] = [];
    const waiting = cases.flatMap((one) => cutsOf(one).map((cutAt) => ({ one, cutAt })));
    const worker = async (): Promise<void> => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        const { one, cutAt } = next;
        const outcome = await outcomeOf(one.bytes + PROBE, cutAt);
        if (JSON.stringify(outcome) !== JSON.stringify(expected(one))) wrong.push({ name: one.name, cutAt, outcome });
      }
    };
    await Promise.all(Array.from({ length: 64 }, worker));
    expect(wrong).toEqual([]);
  });
});

/** Every place in the case's bytes and the first of the probe's; long runs of one kind, as a ticket is, only at both ends. */
function cutsOf({ bytes }: RequestCase): number[] {
  const line = ticketLine("run-0000").length;
  const cuts: number[] = [];
  let at = 0;
  for (const [index, part] of `${bytes}GET `.split("{T}").entries()) {
    if (index > 0) at += line;
    for (let place = 0; place < part.length; place++) {
      if (part.length < 1_000 || place < 150 || place > part.length - 50) cuts.push(at + place);
    }
    at += part.length;
  }
  return cuts.filter((cut) => cut > 0);
}

test("no app was ever handed anything malformed, and every request was counted as ended", async () => {
  expect(brokenForTheApp).toEqual([]);
  const open = await eventually(
    async () => (await served.gateway.counters()).instances[0]?.open,
    (count) => count === 0,
  );
  expect(open).toBe(0);
});
