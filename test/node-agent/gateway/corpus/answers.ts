// Answers that no well-behaved app gives, each with what the visitor gets of it: exactly that, a refusal, or a broken answer.

export type AnswerOutcome =
  { readonly kind: "passes"; readonly status: number; readonly body: string } | { readonly kind: "refused" | "broken" };

export interface AnswerCase {
  readonly name: string;
  readonly method: "GET" | "HEAD";
  readonly bytes: string;
  /** What the app sends beyond its answer. */
  readonly beyond: string;
  /** Whether the app closes its connection after them. */
  readonly ends: boolean;
  readonly outcome: AnswerOutcome;
}

const OK = "HTTP/1.1 200 OK\r\n";
const CHUNKED = "transfer-encoding: chunked\r\n";
/** What a poisoned connection would hand to the next visitor. */
const EVIL = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";

const passes = (name: string, bytes: string, body: string, status = 200): AnswerCase => ({
  name,
  method: "GET",
  bytes,
  beyond: "",
  ends: false,
  outcome: { kind: "passes", status, body },
});
const refused = (name: string, bytes: string): AnswerCase => ({
  ...passes(name, bytes, ""),
  outcome: { kind: "refused" },
});
const broken = (name: string, bytes: string): AnswerCase => ({
  ...passes(name, bytes, ""),
  outcome: { kind: "broken" },
});
const ending = (one: AnswerCase): AnswerCase => ({ ...one, ends: true });
const and = (one: AnswerCase, beyond: string): AnswerCase => ({ ...one, beyond });
const head = (one: AnswerCase): AnswerCase => ({ ...one, method: "HEAD" });

export const answers: readonly AnswerCase[] = [
  passes("a length", `${OK}content-length: 2\r\n\r\nok`, "ok"),
  passes("a length of 0", `${OK}content-length: 0\r\n\r\n`, ""),
  passes("chunks", `${OK}${CHUNKED}\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n`, "ok"),
  passes(
    "chunks with extensions and trailers",
    `${OK}${CHUNKED}\r\n2;a="b"\r\nok\r\n0\r\nberth-instance: x\r\n\r\n`,
    "ok",
  ),
  ending(passes("the end of its connection", `${OK}\r\nok`, "ok")),
  ending(passes("the end of its connection and no bytes", `${OK}\r\n`, "")),
  ending(passes("HTTP/1.0 and the end of its connection", "HTTP/1.0 200 OK\r\n\r\nok", "ok")),
  passes("HTTP/1.0 and a length", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", "ok"),
  passes("HTTP/1.0 and keep-alive", "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", "ok"),
  passes("no reason", "HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok", "ok"),
  passes("an empty reason", "HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nok", "ok"),
  passes("a reason above ASCII", "HTTP/1.1 200 d\xe9j\xe0\r\ncontent-length: 2\r\n\r\nok", "ok"),
  passes("an unknown status", "HTTP/1.1 799 Odd\r\ncontent-length: 2\r\n\r\nok", "ok", 799),
  passes("204 with a length", "HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\n", "", 204),
  passes("304 with a length", "HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n", "", 304),
  passes(
    "a part",
    "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 0-1/9\r\ncontent-length: 2\r\n\r\nok",
    "ok",
    206,
  ),
  head(passes("a length for HEAD", `${OK}content-length: 2\r\n\r\n`, "")),
  head(passes("chunks for HEAD", `${OK}${CHUNKED}\r\n`, "")),
  passes(
    "interim answers before it",
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${OK}content-length: 2\r\n\r\nok`,
    "ok",
  ),
  passes(
    "an interim answer with a length",
    `HTTP/1.1 102 Processing\r\ncontent-length: 9\r\n\r\n${OK}content-length: 2\r\n\r\nok`,
    "ok",
  ),

  and(passes("another answer behind it", `${OK}content-length: 2\r\n\r\nok`, "ok"), EVIL),
  and(passes("another answer behind its chunks", `${OK}${CHUNKED}\r\n2\r\nok\r\n0\r\n\r\n`, "ok"), EVIL),
  and(passes("another answer behind an empty one", `${OK}content-length: 0\r\n\r\n`, ""), EVIL),
  and(passes("garbage behind it", `${OK}content-length: 2\r\n\r\nok`, "ok"), "\0\0\0\0"),
  and(passes("an empty line behind it", `${OK}content-length: 2\r\n\r\nok`, "ok"), "\r\n"),
  and(passes("204 with a body", `HTTP/1.1 204 No Content\r\ncontent-length: ${EVIL.length}\r\n\r\n`, "", 204), EVIL),
  and(passes("204 in chunks", `HTTP/1.1 204 No Content\r\n${CHUNKED}\r\n`, "", 204), "2\r\nok\r\n0\r\n\r\n"),
  and(passes("304 with a body", `HTTP/1.1 304 Not Modified\r\ncontent-length: ${EVIL.length}\r\n\r\n`, "", 304), EVIL),
  head(and(passes("a body for HEAD", `${OK}content-length: ${EVIL.length}\r\n\r\n`, ""), EVIL)),

  refused("garbage", "garbage\r\n\r\n"),
  refused("HTTP/0.9", "ok\r\n"),
  refused("both framings", `${OK}content-length: 2\r\n${CHUNKED}\r\n2\r\nok\r\n0\r\n\r\n`),
  refused("both framings the other way", `${OK}${CHUNKED}content-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n`),
  refused("two lengths", `${OK}content-length: 2\r\ncontent-length: 3\r\n\r\nok`),
  refused("one length twice", `${OK}content-length: 2\r\ncontent-length: 2\r\n\r\nok`),
  refused("a list of lengths", `${OK}content-length: 2, 2\r\n\r\nok`),
  refused("a signed length", `${OK}content-length: +2\r\n\r\nok`),
  refused("a negative length", `${OK}content-length: -2\r\n\r\nok`),
  refused("a hexadecimal length", `${OK}content-length: 0x2\r\n\r\nok`),
  refused("an unknown coding", `${OK}transfer-encoding: gzip\r\n\r\nok`),
  refused("a coding before chunked", `${OK}transfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`),
  refused("chunked twice", `${OK}${CHUNKED}${CHUNKED}\r\n2\r\nok\r\n0\r\n\r\n`),
  refused("chunks in HTTP/1.0", `HTTP/1.0 200 OK\r\n${CHUNKED}\r\n2\r\nok\r\n0\r\n\r\n`),
  refused("HTTP/2", "HTTP/2 200 OK\r\ncontent-length: 2\r\n\r\nok"),
  refused("HTTP/2.0", "HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok"),
  refused("RTSP", "RTSP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok"),
  refused("a status of two digits", "HTTP/1.1 20 OK\r\ncontent-length: 2\r\n\r\nok"),
  refused("a status of four digits", "HTTP/1.1 2000 OK\r\ncontent-length: 2\r\n\r\nok"),
  refused("a status below 100", "HTTP/1.1 099 OK\r\ncontent-length: 2\r\n\r\nok"),
  refused("a control character in its reason", "HTTP/1.1 200 O\x07K\r\ncontent-length: 2\r\n\r\nok"),
  refused("an empty line before it", `\r\n${OK}content-length: 2\r\n\r\nok`),
  refused("a bare LF", "HTTP/1.1 200 OK\ncontent-length: 2\n\nok"),
  refused("a bare CR in a value", `${OK}x: y\rz: 1\r\ncontent-length: 2\r\n\r\nok`),
  refused("a null in a value", `${OK}x: \0\r\ncontent-length: 2\r\n\r\nok`),
  refused("a folded line", `${OK}x: y\r\n z\r\ncontent-length: 2\r\n\r\nok`),
  refused("a space before a colon", `${OK}content-length : 2\r\n\r\nok`),
  refused("a line without a colon", `${OK}xyz\r\ncontent-length: 2\r\n\r\nok`),
  refused("a head of 129 KB", `${OK}${`x: ${"y".repeat(1_019)}\r\n`.repeat(129)}\r\n`),
  refused("interim answers without end", "HTTP/1.1 100 Continue\r\n\r\n".repeat(40)),
  refused(
    "an upgrade that nobody asked for",
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
  ),
  ending(refused("no end of its head", `${OK}content-length: 2\r\n`)),
  ending(refused("no bytes after an interim answer", "HTTP/1.1 100 Continue\r\n\r\n")),

  ending(broken("fewer bytes than its length", `${OK}content-length: 9\r\n\r\nok`)),
  ending(broken("no last chunk", `${OK}${CHUNKED}\r\n2\r\nok\r\n`)),
  ending(broken("half a chunk", `${OK}${CHUNKED}\r\n9\r\nok`)),
  broken("a chunk without a size", `${OK}${CHUNKED}\r\nok\r\n0\r\n\r\n`),
  broken("a chunk size with a space", `${OK}${CHUNKED}\r\n2 \r\nok\r\n0\r\n\r\n`),
  broken("a chunk size that ends in a bare LF", `${OK}${CHUNKED}\r\n2\nok\r\n0\r\n\r\n`),
  broken("a chunk size beyond 64 bits", `${OK}${CHUNKED}\r\n10000000000000002\r\nok\r\n0\r\n\r\n`),
  broken("a chunk longer than its size", `${OK}${CHUNKED}\r\n2\r\nokk\r\n0\r\n\r\n`),
  broken("9,000 bytes of trailers", `${OK}${CHUNKED}\r\n2\r\nok\r\n0\r\n${"a: bcde\r\n".repeat(1_000)}\r\n`),
];
