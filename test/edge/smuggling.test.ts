// What a visitor's odd bytes become behind the edge: the app reads exactly the requests that the edge meant to send, each under an id of
// its own, and each is answered to whoever sent it. The corpus is the gateway's; here a request is no visitor's word but the edge's.
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { heads } from "../node-agent/gateway/corpus/heads.ts";
import { bodies, PROBE, type RequestCase } from "../node-agent/gateway/corpus/requests.ts";
import { httpApp } from "../node-agent/gateway/upstreams.ts";
import { edgeTest, Stage, type TestApp } from "./world.ts";

let stage: Stage;
let shop: TestApp;
let other: TestApp;
interface Seen {
  readonly id: string;
  readonly run: string;
  readonly text: string;
}
const seen: Seen[] = [];
/** What an app, which is a reader of its own, found malformed: nothing ever. */
const broken: string[] = [];

beforeAll(async () => {
  stage = new Stage(await edgeTest(1));
  shop = stage.fresh();
  const app = stage.add(
    await httpApp((asked, response) => {
      const { headers, method, url } = asked;
      const run = String(headers["x-run"]);
      let body = "";
      asked.setEncoding("latin1").on("data", (part: string) => (body += part));
      asked.on("end", () => {
        seen.push({
          id: String(headers["x-request-id"]),
          run: run.split(", ")[0] ?? "",
          text: `${method} ${url} [${body}]`,
        });
        response.setHeader("x-answers", run.split(", ")[0] ?? "").end("ok");
      });
    }),
  );
  app.server.on("clientError", (error: NodeJS.ErrnoException, socket: { destroy(): void }) => {
    if (error.code !== "ECONNRESET" && error.code !== "HPE_INVALID_EOF_STATE") broken.push(String(error));
    socket.destroy();
  });
  other = stage.fresh();
  await stage.put(1, other.row(1, await stage.named("other")));
  await other.publish(other.route([other.release(1, 100, [other.endpoint(1, 1)])]));
  await stage.put(1, shop.row(1, app));
  await shop.publish(shop.route([shop.release(1, 100, [shop.endpoint(1, 1)])]));
});
afterAll(async () => await stage?.stop());

const QUIET_MS = 1_500;
const AT_ONCE = 16;

/**
 * Until nothing came for a while: what is half a request is waited for by the edge. On a busy machine an answer may take longer than
 * that: then others' answers take as long, so one of those is awaited too, and nothing may have come meanwhile.
 */
function exchange(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ port: stage.world.edge.port, host: "127.0.0.1", noDelay: true });
    const done = (): void => {
      socket.destroy();
      resolve(text);
    };
    const quiet = async (): Promise<void> => {
      const before = text;
      await other.send();
      if (text === before) done();
    };
    socket.setEncoding("latin1").on("data", (part: string) => (text += part));
    socket
      .on("end", done)
      .on("error", done)
      .setTimeout(QUIET_MS, () => void quiet());
    socket.write(bytes, "latin1");
  });
}

interface Outcome {
  readonly name: string;
  readonly run: string;
  readonly text: string;
}

async function outcomeOf({ name, bytes }: RequestCase, run: string): Promise<Outcome> {
  const written = (bytes + PROBE)
    .replaceAll("host: shop.test", `host: ${shop.hostname}`)
    .replaceAll("{T}", `x-run: ${run}`);
  return { name, run, text: await exchange(written) };
}

test(
  "no request of the corpus becomes another one, or another one's, on its way to the app",
  { timeout: 120_000 },
  async () => {
    const waiting = [...bodies, ...heads].map((one, at) => ({ one, run: `run-${at}` }));
    const count = waiting.length;
    expect(count).toBeGreaterThan(100);
    const outcomes: Outcome[] = [];
    const worker = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
        outcomes.push(await outcomeOf(next.one, next.run));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    expect(broken).toEqual([]);
    expect(new Set(seen.map(({ id }) => id)).size).toBe(seen.length);
    expect(seen.filter(({ run }) => !/^run-\d+$/.test(run))).toEqual([]);
    const wrong = outcomes.flatMap(({ name, run, text }) => {
      const own = seen.filter((one) => one.run === run);
      const answers = text.split(`x-answers: ${run}\r\n`).length - 1;
      const foreign = [...text.matchAll(/x-answers: (run-\d+)/g)].filter(([, other]) => other !== run);
      return own.length === answers && foreign.length === 0 ? [] : [`${name}: ${own.length} seen, ${answers} answered`];
    });
    expect(wrong).toEqual([]);
  },
);

test("what cannot be sent on is refused as the visitor's fault", async () => {
  const wanted = ["CL of a GET", "OPTIONS *", "a request line with * for GET", "a WebSocket with a body"];
  for (const one of [...bodies, ...heads].filter(({ name }) => wanted.includes(name)))
    expect((await outcomeOf(one, "run-0")).text, one.name).toMatch(/^HTTP\/1\.1 400 /);
});

test("a visitor's broken body takes no instance from the others", async () => {
  const two = stage.fresh();
  const apps = [await stage.named("first"), await stage.named("second")];
  for (const [at, one] of apps.entries()) await stage.put(1, two.row(at + 1, one));
  await two.publish(two.route([two.release(1, 100, [two.endpoint(1, 1), two.endpoint(2, 1)])]));
  /** Of two that are picked alike, one is missing from this many answers once in 2 ** 49 runs, and else where it is ejected. */
  const answering = async (): Promise<Set<string>> => {
    const names = new Set<string>();
    for (let n = 0; n < 50 && names.size < 2; n += 1) names.add((await two.send()).body);
    return names;
  };
  expect(await answering()).toEqual(new Set(["first", "second"]));
  const broken_ = `POST / HTTP/1.1\r\nhost: ${two.hostname}\r\ntransfer-encoding: chunked\r\n\r\nno size\r\nabc`;
  expect(await exchange(broken_)).toMatch(/^HTTP\/1\.1 502 /);
  expect(await answering()).toEqual(new Set(["first", "second"]));
});
