// The gateway against node:http as a second reader, over random bytes: what the app sees through the gateway is what node:http
// sees without it, or the beginning of that. The gateway may refuse more; it must never see a request that nobody sent.
import fc from "fast-check";
import { createServer, type RequestListener } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Served } from "./served.ts";
import { httpApp, send } from "./upstreams.ts";

let served: Served;
let pass: string;
let runs = 0;
/** By request id. */
type Seen = Map<string, string[]>;
const [seenDirect, seenThrough]: [Seen, Seen] = [new Map(), new Map()];

const recordTo =
  (seen: Seen): RequestListener =>
  (asked, response) => {
    let body = "";
    asked.setEncoding("latin1").on("data", (part: string) => (body += part));
    asked.on("end", () => {
      const id = String(asked.headers["x-request-id"]);
      seen.set(id, [...(seen.get(id) ?? []), `${asked.method} ${asked.url} [${body}]`]);
      response.end("ok");
    });
  };
const reference = createServer({ maxHeaderSize: 128 * 1024 }, recordTo(seenDirect));

beforeAll(async () => {
  served = await Served.start();
  await served.serve(await httpApp(recordTo(seenThrough)));
  pass = await served.pass();
  await new Promise<void>((resolve) => reference.listen(0, "127.0.0.1", resolve));
});
afterAll(async () => {
  reference.closeAllConnections();
  reference.close();
  await served.stop();
});

const often = <Value>(usual: Value, ...odd: Value[]): fc.Arbitrary<Value> =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...odd) });
const endOfLine = fc.oneof(
  { weight: 60, arbitrary: fc.constant("\r\n") },
  { weight: 1, arbitrary: fc.constantFrom("\n", "\r", "\r\r\n", "\r\n ", "\0\r\n", "\r\n\t") },
);
const startLine = fc.tuple(
  often("POST", "GET", "HEAD", "PUT", "post", "BREW", "\r\nPOST", " POST", "CONNECT"),
  often(" ", "  ", "\t"),
  often("/a", "/", "*", "a", "http://x/", "/#", "/\x80", "/ b"),
  often(" HTTP/1.1", " HTTP/1.0", "", " HTTP/1.1 ", "  HTTP/1.1", " HTTP/2.0", " RTSP/1.1"),
);
const framing = fc.constantFrom(
  "content-length: 3",
  "content-length: 3",
  "content-length: 0",
  "content-length: 30",
  "content-length: +3",
  "content-length: 3, 3",
  "content-length : 3",
  "content-length:\t3 ",
  "content-length: 0x3",
  "transfer-encoding: chunked",
  "transfer-encoding: chunked",
  "transfer-encoding: chunked",
  "Transfer-Encoding: gzip, chunked",
  "transfer-encoding: identity",
  "transfer-encoding : chunked",
  "transfer-encoding:\x0bchunked",
  "transfer_encoding: chunked",
  "x: y",
  "connection: close",
  "connection: keep-alive, content-length",
  "expect: 100-continue",
  "upgrade: h2c",
);
const body = fc.oneof(
  fc.constantFrom(
    "abc",
    "",
    "3\r\nabc\r\n0\r\n\r\n",
    "3\r\nabc\r\n0\r\n\r\n",
    "0\r\n\r\n",
    "3\r\nabc\r\n0\r\na: b\r\n\r\n",
  ),
  fc.constantFrom(
    "3;a=b\r\nabc\r\n0\r\n\r\n",
    "3 \r\nabc\r\n0\r\n\r\n",
    "3\nabc\r\n0\r\n\r\n",
    "4\r\nabc\r\n0\r\n\r\n",
    "-3\r\nabc\r\n",
  ),
  fc
    .array(fc.constantFrom("0", "3", "abc", "\r\n", "\n", "\r", ";", "GET / HTTP/1.1"), { maxLength: 8 })
    .map((parts) => parts.join("")),
);
const message = fc
  .tuple(startLine, fc.array(fc.tuple(framing, endOfLine), { maxLength: 3 }), endOfLine, endOfLine, body)
  .map(([start, fields, startEnd, headEnd, content]) => {
    const lines = fields.map(([field, end]) => `${field}${end}`).join("");
    return `${start.join("")}${startEnd}host: x\r\n{ID}\r\n${lines}${headEnd}${content}`;
  });

const LAST = "GET /last HTTP/1.1\r\nhost: x\r\n{ID}\r\nconnection: close\r\n\r\n";

/**
 * Sends bytes and waits until the other side has closed, or has nothing more to say. On a busy machine that takes longer to tell: what
 * is quiet is done only if it still is when the other side has answered somebody else since.
 */
function exchange(port: number, pieces: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    const done = (): void => {
      socket.destroy();
      resolve();
    };
    let heardBytes = 0;
    const quiet = async (): Promise<void> => {
      const before = heardBytes;
      await send(port, { path: "/quiet" });
      if (heardBytes === before) done();
    };
    socket
      .on("end", done)
      .on("error", done)
      .on("data", (bytes) => (heardBytes += bytes.length));
    const last = (): void => {
      socket.write(pieces[1] ?? "", "latin1");
      // Whoever waits for the rest of a body has seen no whole request.
      socket.setTimeout(100, () => void quiet());
    };
    socket.write(pieces[0] ?? "", "latin1", () => setTimeout(last, 1));
  });
}

test("the gateway never sees what node:http does not see", { timeout: 120_000 }, async () => {
  const { port } = reference.address() as AddressInfo;
  let agreed = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 3 }), fc.nat(), async (messages, cutAt) => {
      const id = `run-${runs++}`;
      const idLines = `berth-ticket: ${pass} - - - - x\r\nx-request-id: ${id}`;
      const bytes = `${messages.join("")}${LAST}`.replaceAll("{ID}", idLines);
      const pieces = [bytes.slice(0, cutAt % bytes.length), bytes.slice(cutAt % bytes.length)];
      await Promise.all([exchange(port, pieces), exchange(served.gateway.port, pieces)]);
      const [direct, through] = [seenDirect.get(id) ?? [], seenThrough.get(id) ?? []];
      if (through.length > 0) agreed++;
      expect(direct.slice(0, through.length)).toEqual(through);
    }),
    { numRuns: 600 },
  );
  // Or the bytes were such nonsense that nothing was compared.
  expect(agreed).toBeGreaterThan(60);
});
