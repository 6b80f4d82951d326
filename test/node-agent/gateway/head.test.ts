// Heads and framing: what is handed on, what is refused, and that no cut of the bytes changes either.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Framing } from "../../../node-agent/gateway/framing.ts";
import { parseAnswerHead, parseRequestHead } from "../../../node-agent/gateway/head.ts";

const request = (...lines: string[]) => parseRequestHead(["GET / HTTP/1.1", ...lines].join("\r\n"));

describe("a request's head", () => {
  test("hands on ordinary lines as they are and keeps back what is between neighbours or internal", () => {
    const head = request(
      "Host: x",
      "Accept: a",
      "Connection: keep-alive, X-Private",
      "X-Private: 1",
      "Keep-Alive: timeout=3",
      "TE: trailers",
      "Berth-Route-Version: 9",
      "berth-anything: 1",
      "X-Empty:",
    );
    expect(head).toMatchObject({ kind: "request", lines: "Accept: a\r\nX-Empty: \r\n" });
  });

  test("the edge's word about the visitor replaces the client's claims", () => {
    const claims = [
      "x-forwarded-for: 6.6.6.6",
      "x-real-ip: 6.6.6.6",
      "x-forwarded-host: evil",
      "forwarded: for=6.6.6.6",
    ];
    const told = request(...claims, "x-request-id: client", "berth-ticket: t.t.t 4 https abc 9.9.9.9 shop.example");
    expect(told).toMatchObject({
      envelope: { ticket: "t.t.t", routeVersion: 4, host: "shop.example" },
      requestId: "abc",
      lines:
        "x-request-id: abc\r\nx-forwarded-proto: https\r\nx-forwarded-host: shop.example\r\nx-forwarded-for: 9.9.9.9\r\nx-real-ip: 9.9.9.9\r\n",
    });
    const silent = request("x-forwarded-for: 6.6.6.6", "berth-ticket: t.t.t");
    expect(silent).toMatchObject({ envelope: { routeVersion: null }, lines: "x-forwarded-for: 6.6.6.6\r\n" });
  });

  const refused: [string, string, number][] = [
    ["both framings", "GET / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked", 400],
    ["two lengths", "GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2", 400],
    ["a list of lengths", "GET / HTTP/1.1\r\ncontent-length: 1, 1", 400],
    ["a signed length", "GET / HTTP/1.1\r\ncontent-length: +1", 400],
    ["a hexadecimal length", "GET / HTTP/1.1\r\ncontent-length: 0x1", 400],
    ["another coding", "GET / HTTP/1.1\r\ntransfer-encoding: gzip, chunked", 501],
    ["chunked twice", "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked", 501],
    ["a space before the colon", "GET / HTTP/1.1\r\nhost : x", 400],
    ["a folded line", "GET / HTTP/1.1\r\na: b\r\n c: d", 400],
    ["a bare line feed", "GET / HTTP/1.1\r\na: b\nc: d", 400],
    ["a bare carriage return", "GET / HTTP/1.1\r\na: b\rc: d", 400],
    ["a null", "GET / HTTP/1.1\r\na: b\0", 400],
    ["a line without a colon", "GET / HTTP/1.1\r\nabc", 400],
    ["an absolute target", "GET http://x/ HTTP/1.1", 400],
    ["a space in the target", "GET /a b HTTP/1.1", 400],
    ["HTTP/1.0", "GET / HTTP/1.0", 505],
    ["HTTP/2's preface", "PRI * HTTP/2.0", 505],
    ["CONNECT", "CONNECT / HTTP/1.1", 501],
    ["no method", " / HTTP/1.1", 400],
    ["two tickets", "GET / HTTP/1.1\r\nberth-ticket: a\r\nberth-ticket: b", 400],
    ["an unknown expectation", "GET / HTTP/1.1\r\nexpect: a-pony", 417],
  ];
  test.each(refused)("%s is refused", (_name, text, status) => {
    expect(parseRequestHead(text)).toMatchObject({ kind: "malformed", status });
  });
});

describe("an answer's head", () => {
  test("says how its body ends and whether the connection may be used again", () => {
    expect(parseAnswerHead("HTTP/1.1 200 OK\r\nContent-Length: 3")).toMatchObject({ length: 3, keepAlive: true });
    expect(parseAnswerHead("HTTP/1.1 200 OK\r\nConnection: close")).toMatchObject({ length: null, keepAlive: false });
    expect(parseAnswerHead("HTTP/1.0 200 OK")).toMatchObject({ keepAlive: false });
    expect(parseAnswerHead("HTTP/1.1 204")).toMatchObject({ status: 204, reason: "" });
    expect(parseAnswerHead("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5")).toMatchObject({ keepAliveMs: 5_000 });
  });

  test("with both framings goes by chunks and ends its connection", () => {
    const head = parseAnswerHead("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked");
    expect(head).toMatchObject({ chunked: true, length: null, keepAlive: false });
  });

  test("an app cannot speak for the gateway", () => {
    const head = parseAnswerHead(
      "HTTP/1.1 200 OK\r\nberth-gateway-error: instance_gone\r\nBerth-Route-Version: 99\r\nA: b",
    );
    expect(head).toMatchObject({ lines: "A: b\r\n" });
  });

  test.each(["HTTP/2 200 OK", "HTTP/1.1 99 X", "HTTP/1.1 2000", "FTP/1.1 200 OK", ""])("%j is refused", (line) => {
    expect(parseAnswerHead(line)).toMatchObject({ kind: "malformed" });
  });
});

/** Feeds a body in pieces; answers what would be handed on and what was left over. */
function pass(framing: Framing, pieces: readonly Buffer[]): { out: string; rest: string; done: boolean; bad: boolean } {
  let out = "";
  let rest = "";
  for (const piece of pieces) {
    if (framing.done || framing.bad) {
      rest += piece.toString("latin1");
      continue;
    }
    framing.read(piece, 0);
    out += piece.toString("latin1", 0, framing.forwardEnd) + framing.tail;
    rest += piece.toString("latin1", framing.end);
  }
  return { out, rest, done: framing.done, bad: framing.bad };
}

function cut(text: string, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (text.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((from, index) => Buffer.from(text.slice(from, at[index] ?? text.length), "latin1"));
}

describe("framing", () => {
  const body = "5\r\nhello\r\nA;ext=1\r\n0123456789\r\n0\r\n\r\n";
  const cuts = fc.array(fc.nat(), { maxLength: 12 });

  test("a chunked body is handed on byte for byte, however it is cut, and what follows is left", () => {
    fc.assert(
      fc.property(cuts, (places) => {
        expect(pass(new Framing("chunked"), cut(`${body}GET /next`, places))).toEqual({
          out: body,
          rest: "GET /next",
          done: true,
          bad: false,
        });
      }),
      { numRuns: 500 },
    );
  });

  test("trailers are dropped, however they are cut", () => {
    const withTrailers = body.replace(/\r\n$/, "berth-ticket: x\r\nb: c\r\n\r\n");
    fc.assert(
      fc.property(cuts, (places) => {
        expect(pass(new Framing("chunked"), cut(`${withTrailers}X`, places))).toEqual({
          out: body,
          rest: "X",
          done: true,
          bad: false,
        });
      }),
      { numRuns: 500 },
    );
  });

  test("a body with a length ends there", () => {
    fc.assert(
      fc.property(cuts, (places) => {
        expect(pass(new Framing("length", 10), cut("0123456789rest", places))).toEqual({
          out: "0123456789",
          rest: "rest",
          done: true,
          bad: false,
        });
      }),
    );
  });

  const broken = [
    "\r\n",
    "g\r\n",
    "5\nhello\r\n",
    "5\r\nhelloX\n",
    "5\r\nhello\r5",
    "-1\r\n",
    "0x5\r\n",
    "5 \r\n",
    "1234567890123\r\n",
    "5;a\nb\r\n",
    "0\r\n\n",
    "0\r\na: b\n\r\n",
  ];
  test.each(broken)("%j is no chunked body, however it is cut", (text) => {
    fc.assert(
      fc.property(cuts, (places) => {
        expect(pass(new Framing("chunked"), cut(`${text}${"x".repeat(9)}`, places))).toMatchObject({ bad: true });
      }),
    );
  });

  test("endless trailers and extensions are cut off", () => {
    expect(pass(new Framing("chunked"), [Buffer.from(`0\r\n${"a: b\r\n".repeat(3_000)}`)])).toMatchObject({
      bad: true,
    });
    expect(pass(new Framing("chunked"), [Buffer.from(`1;${"a".repeat(9_000)}`)])).toMatchObject({ bad: true });
  });
});
