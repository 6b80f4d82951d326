// Heads and framing: what is handed on, what is refused, and that no cut of the bytes changes either.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Framing } from "../../../node-agent/gateway/framing.ts";
import { readAnswerHead, readRequestHead } from "../../../node-agent/gateway/head.ts";
import { MessageParser } from "../../../node-agent/gateway/llhttp.ts";

const BYTES_MAX = 128 * 1024;

/** text: without its empty line. */
const parseRequestHead = (text: string) =>
  readRequestHead(MessageParser.take("request"), Buffer.from(`${text}\r\n\r\n`, "latin1"), 0, BYTES_MAX);
const parseAnswerHead = (text: string) =>
  readAnswerHead(MessageParser.take("answer"), Buffer.from(`${text}\r\n\r\n`, "latin1"), 0, BYTES_MAX);
const request = (...lines: string[]) => parseRequestHead(["GET / HTTP/1.1", "Host: x", ...lines].join("\r\n"));

describe("a request's head", () => {
  test("hands on ordinary lines as they are and keeps back what is between neighbours or internal", () => {
    const head = request(
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
      about:
        "x-request-id: abc\r\nx-forwarded-proto: https\r\nx-forwarded-host: shop.example\r\nx-forwarded-for: 9.9.9.9\r\nx-real-ip: 9.9.9.9\r\n",
    });
    const silent = request("x-forwarded-for: 6.6.6.6", "berth-ticket: t.t.t");
    expect(silent).toMatchObject({ envelope: { routeVersion: null }, about: "x-forwarded-for: 6.6.6.6\r\n" });
  });

  const refused: [string, string, number][] = [
    ["both framings", "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked", 400],
    ["two lengths", "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2", 400],
    ["one length twice", "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 1", 400],
    ["a list of lengths", "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1, 1", 400],
    ["a signed length", "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: +1", 400],
    ["a hexadecimal length", "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 0x1", 400],
    ["a length of 16 digits", "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000000000", 400],
    ["another coding", "GET / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked", 501],
    ["chunked twice", "GET / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked", 400],
    ["a space before the colon", "GET / HTTP/1.1\r\nhost : x", 400],
    ["a folded line", "GET / HTTP/1.1\r\nhost: x\r\na: b\r\n c: d", 400],
    ["a bare line feed", "GET / HTTP/1.1\r\nhost: x\r\na: b\nc: d", 400],
    ["a bare carriage return", "GET / HTTP/1.1\r\nhost: x\r\na: b\rc: d", 400],
    ["a null", "GET / HTTP/1.1\r\nhost: x\r\na: b\0", 400],
    ["a line without a colon", "GET / HTTP/1.1\r\nhost: x\r\nabc", 400],
    ["no host", "GET / HTTP/1.1\r\na: b", 400],
    ["two hosts", "GET / HTTP/1.1\r\nhost: x\r\nhost: x", 400],
    ["an absolute target", "GET http://x/ HTTP/1.1\r\nhost: x", 400],
    ["a space in the target", "GET /a b HTTP/1.1\r\nhost: x", 400],
    ["a fragment", "GET /a#b HTTP/1.1\r\nhost: x", 400],
    ["two spaces after the method", "GET  / HTTP/1.1\r\nhost: x", 400],
    ["two spaces after the target", "GET /  HTTP/1.1\r\nhost: x", 505],
    ["an empty line before the method", "\r\nGET / HTTP/1.1\r\nhost: x", 400],
    ["another protocol", "GET / RTSP/1.1\r\nhost: x", 505],
    ["HTTP/0.9", "GET /", 505],
    ["HTTP/1.0", "GET / HTTP/1.0", 505],
    ["HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM", 505],
    ["CONNECT", "CONNECT x:80 HTTP/1.1\r\nhost: x", 501],
    ["no method", " / HTTP/1.1\r\nhost: x", 400],
    ["an unknown method", "BREW / HTTP/1.1\r\nhost: x", 400],
    ["two tickets", "GET / HTTP/1.1\r\nhost: x\r\nberth-ticket: a\r\nberth-ticket: b", 400],
    ["an unknown expectation", "GET / HTTP/1.1\r\nhost: x\r\nexpect: a-pony", 417],
    ["513 fields", `GET / HTTP/1.1\r\nhost: x${"\r\na: b".repeat(512)}`, 431],
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

  test("an app cannot speak for the gateway", () => {
    const head = parseAnswerHead(
      "HTTP/1.1 200 OK\r\nberth-gateway-error: instance_gone\r\nBerth-Route-Version: 99\r\nA: b",
    );
    expect(head).toMatchObject({ lines: "A: b\r\n" });
  });

  test.each([
    "HTTP/2 200 OK",
    "HTTP/2.0 200 OK",
    "HTTP/1.1 99 X",
    "HTTP/1.1 000 X",
    "HTTP/1.1 2000",
    "FTP/1.1 200 OK",
    "RTSP/1.0 200 OK",
    "HTTP/1.1 200 O\x01K",
    "\r\nHTTP/1.1 200 OK",
    "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip",
    "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked",
  ])("%j is refused", (line) => {
    expect(parseAnswerHead(line)).toMatchObject({ kind: "malformed" });
  });
});

/** Feeds a body in pieces; answers its data and what was left over. */
function pass(
  framing: Framing,
  pieces: readonly Buffer[],
): { data: string; rest: string; done: boolean; bad: boolean } {
  let data = "";
  let rest = "";
  for (const piece of pieces) {
    if (framing.done || framing.bad) {
      rest += piece.toString("latin1");
      continue;
    }
    framing.read(piece, 0);
    const { runs } = framing;
    for (let run = 0; run < runs.length; run += 2) data += piece.toString("latin1", runs[run], runs[run + 1]);
    rest += piece.toString("latin1", framing.end);
  }
  return { data, rest, done: framing.done, bad: framing.bad };
}

function chunked(): Framing {
  const parser = MessageParser.take("request");
  const head = Buffer.from("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
  expect(readRequestHead(parser, head, 0, BYTES_MAX)).toMatchObject({ chunked: true });
  return new Framing({ kind: "chunked", parser });
}

function cut(text: string, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (text.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((from, index) => Buffer.from(text.slice(from, at[index] ?? text.length), "latin1"));
}

describe("framing", () => {
  const body = "5\r\nhello\r\nA;ext=1\r\n0123456789\r\n0\r\n\r\n";
  const cuts = fc.array(fc.nat(), { maxLength: 12 });

  test("the data of a chunked body is found, however it is cut, and what follows is left", () => {
    fc.assert(
      fc.property(cuts, (places) => {
        expect(pass(chunked(), cut(`${body}GET /next`, places))).toEqual({
          data: "hello0123456789",
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
        expect(pass(chunked(), cut(`${withTrailers}X`, places))).toEqual({
          data: "hello0123456789",
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
        expect(pass(new Framing({ kind: "length", length: 10 }), cut("0123456789rest", places))).toEqual({
          data: "0123456789",
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
    "10000000000000000\r\n",
    "5;\r\n",
    "5\t\r\n",
    "0\r\n a: b\r\n",
    "0\r\ncontent-length: 5\r\n",
    "5;a\nb\r\n",
    "0\r\n\n",
    "0\r\na: b\n\r\n",
  ];
  test.each(broken)("%j is no chunked body, however it is cut", (text) => {
    fc.assert(
      fc.property(cuts, (places) => {
        expect(pass(chunked(), cut(`${text}${"x".repeat(9)}`, places))).toMatchObject({ bad: true });
      }),
    );
  });

  test("endless trailers and extensions are cut off", () => {
    expect(pass(chunked(), [Buffer.from(`0\r\n${"a: b\r\n".repeat(3_000)}`)])).toMatchObject({
      bad: true,
    });
    expect(pass(chunked(), [Buffer.from(`1;${"a".repeat(9_000)}`)])).toMatchObject({ bad: true });
  });
});
